"""What crosses borders keeps its shape: rooms rely on these and on nothing else of each other."""

import dataclasses
import inspect
import re

import numpy as np
import pytest
import torch

from aisle.data import Product
from aisle.guarantee import Prediction
from aisle.inference.classifier import Classifier
from aisle.models import encoders, fusions, heads, losses, preprocessing
from aisle.models.registry import Encoded, Joint, Output, Target
from aisle.models.scores import LevelScores, TorchScores, TreeScores
from aisle.taxonomy import Scores
from tests.models.build import DIMS, LENGTHS, sequences, spelled


def test_a_predictor_is_a_classifier(trained):
    model: Classifier = trained.model
    for name, member in inspect.getmembers(Classifier):
        if not name.startswith("_"):
            assert hasattr(model, name), name
            if callable(member):
                own = inspect.signature(getattr(type(model), name)).parameters
                assert list(inspect.signature(member).parameters) == list(own)
    few = trained.catalog.select(np.arange(5))
    scores = model.score(few, without=model.views[:1])
    assert isinstance(scores, Scores)
    assert scores.taxonomy == model.taxonomy
    np.testing.assert_allclose(np.exp(scores.all()).sum(1), 1, rtol=1e-4)


@pytest.mark.parametrize("kind", [TreeScores, LevelScores])
def test_torch_scores_answer_what_numpy_scores_answer(kind):
    asked = {
        name
        for name in vars(TorchScores)
        if not name.startswith("_") and callable(getattr(TorchScores, name))
    }
    assert asked == {"nll", "level", "topk", "all"}
    for name in asked | {"__getitem__"}:
        expected = list(inspect.signature(getattr(TorchScores, name)).parameters)
        assert list(inspect.signature(getattr(kind, name)).parameters) == expected, name
        here = list(inspect.signature(getattr(Scores, name)).parameters)
        assert here == (["self", "targets"] if name == "nll" else expected), name


def test_records_are_frozen_and_keep_their_fields():
    assert [f.name for f in dataclasses.fields(Product)] == [
        "id",
        "fields",
        "images",
        "vectors",
        "categories",
    ]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Product("1").id = "2"
    names = {f.name for f in dataclasses.fields(Prediction)}
    assert names >= {
        "id", "best", "path", "confidence", "decision", "alternatives", "problems", "model_id", "reason",
    }  # fmt: skip
    assert Encoded._fields == ("pooled", "tokens", "mask", "present")
    assert Joint._fields == ("product", "views")
    assert Output._fields == ("joint", "scores", "by_view", "present")
    assert preprocessing.Prepared._fields == ("arrays", "present", "problems")


@pytest.mark.parametrize(
    "module", [encoders, fusions, heads, losses, preprocessing], ids=lambda m: m.__name__
)
def test_the_list_of_choices_is_true(module):
    assert list(module.__all__) == sorted(set(module.__all__))
    for name in module.__all__:
        first = (inspect.getdoc(getattr(module, name)) or "").split("\n\n")[0]
        assert re.fullmatch(r"[A-Z].+[.:]", first.replace("\n", " ")), name


def test_a_prediction_leaves_as_plain_data(trained):
    (answer,) = trained.model.predict(trained.catalog.select(np.arange(1)))
    data = answer.to_dict()
    assert data["best"] == " > ".join(answer.best)
    assert answer.path == answer.best[: len(answer.path)]
    assert {type(value) for value in data.values()} <= {str, list, float, type(None)}  # None: no threshold
    assert len(data["confidence"]) == len(answer.best)
    assert (np.diff(answer.confidence) <= 1e-6).all()


# -- every fusion under every head: each view counts, and nothing else does ---------------------

PAIRS = [(f, h) for f in fusions.__all__ for h in heads.__all__]
EVERY = pytest.mark.parametrize(("fusion", "head"), PAIRS, ids=lambda name: name)
ALL_HERE = torch.ones(5, len(DIMS), dtype=torch.bool)


def edited(given, view, row, change):
    """The same sequences with one row of one view changed."""
    out = {name: {key: tensor.clone() for key, tensor in arrays.items()} for name, arrays in given.items()}
    change(out[view]["tokens"][row], out[view]["mask"][row])
    return out


def noise(tokens, mask):
    tokens.copy_(torch.randn(tokens.shape, generator=torch.Generator().manual_seed(9)))


@EVERY
@pytest.mark.parametrize("view", DIMS)
def test_each_present_view_can_change_the_answer_and_its_encoder_learns(fusion, head, view):
    model, given = sequences(fusion, head), spelled()
    output = model(given, ALL_HERE)
    other = model(edited(given, view, 2, noise), ALL_HERE).scores.all()
    assert (other[2] - output.scores.all()[2]).abs().max() > 1e-3
    others = [0, 1, 3, 4]
    torch.testing.assert_close(other[others], output.scores.all()[others])
    target = Target(torch.full((5,), 4), torch.ones(5, dtype=torch.bool))
    output.scores.nll(target.node, target.exact).sum().backward()
    assert model.encoders[view].linear.weight.grad.abs().max() > 1e-5


@EVERY
@pytest.mark.parametrize("view", DIMS)
def test_an_absent_views_contents_change_nothing(fusion, head, view):
    model, given = sequences(fusion, head), spelled()
    present = ALL_HERE.clone()
    present[2, list(DIMS).index(view)] = False
    answer = model(given, present).scores.all()
    for value in (float("nan"), 1e30, 0.0):
        changed = edited(given, view, 2, lambda tokens, mask, value=value: tokens.fill_(value))
        assert torch.equal(model(changed, present).scores.all(), answer)
    shorter = edited(given, view, 2, lambda tokens, mask: mask[1:].fill_(False))
    assert torch.equal(model(shorter, present).scores.all(), answer)


@EVERY
def test_neighbors_in_the_batch_change_nothing_however_long_they_are(fusion, head):
    model, given = sequences(fusion, head), spelled(8)
    present = torch.rand(8, 3, generator=torch.Generator().manual_seed(3)) > 0.3
    together = model(given, present).scores.all()
    for row in range(8):
        own = {name: {key: t[row : row + 1] for key, t in arrays.items()} for name, arrays in given.items()}
        for arrays in own.values():  # without the padding that longer neighbors asked for
            longest = int(arrays["mask"].sum())
            arrays.update({key: t[:, :longest] for key, t in arrays.items()})
        torch.testing.assert_close(model(own, present[row : row + 1]).scores.all()[0], together[row])


@EVERY
def test_padding_changes_nothing(fusion, head):
    model, given = sequences(fusion, head), spelled()
    for view in ("title", "picture"):
        half = LENGTHS[view] // 2  # row 0 is that long, padded to the longest
        other = edited(given, view, 0, lambda tokens, mask, half=half: noise(tokens[half:], mask))
        torch.testing.assert_close(model(other, ALL_HERE).scores.all(), model(given, ALL_HERE).scores.all())


@pytest.mark.parametrize("fusion", [name for name in fusions.__all__ if getattr(fusions, name).reads_tokens])
@pytest.mark.parametrize("head", heads.__all__)
def test_attention_varies_over_tokens_and_patches(fusion, head):
    model, given = sequences(fusion, head), spelled()
    weights = []

    def look(module, args, kwargs, _):
        weights.append(type(module).forward(module, *args, **kwargs | {"need_weights": True})[1])

    looking = [
        module.register_forward_hook(look, with_kwargs=True)
        for module in model.modules()
        if isinstance(module, torch.nn.MultiheadAttention)
    ]
    before = model(given, ALL_HERE).scores.all()
    for hook in looking:
        hook.remove()
    assert len(weights) >= 3
    for share in weights:  # (B, queries, keys)
        torch.testing.assert_close(share.sum(2), torch.ones(share.shape[:2]))
        assert share.shape[2] > 1
        assert share[1:].std(2).min() > 1e-4  # over keys: no query takes all of them alike
        assert share[1:].std(1).max() > 1e-4  # over queries: they do not all look at the same
        assert share.std(0).max() > 1e-3  # over products
    for view in ("title", "picture"):  # so each token counts for itself
        for token in range(LENGTHS[view]):
            other = edited(given, view, 2, lambda tokens, mask, token=token: noise(tokens[token], mask))
            assert (model(other, ALL_HERE).scores.all()[2] - before[2]).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("fusion", "head"),
    [PAIRS[0], *(pytest.param(*pair, marks=pytest.mark.slow) for pair in PAIRS[1:])],
    ids=lambda name: name,
)
def test_shuffling_pictures_lowers_accuracy_where_only_they_tell(fusion, head):
    rows = 70
    model, given = sequences(fusion, head, random=False).train(), spelled(rows)
    terminals = torch.from_numpy(model.head.index.taxonomy.terminals.copy())
    truth = torch.arange(rows) % len(terminals)
    generator = torch.Generator().manual_seed(5)
    prototypes = torch.randn(len(terminals), DIMS["picture"], generator=generator) * 2
    given["picture"]["tokens"][:, :3] += prototypes[truth].unsqueeze(1)  # half of the patches show it
    present = torch.ones(rows, 3, dtype=torch.bool)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(60):
        loss = model(given, present).scores.nll(terminals[truth], present[:, 0]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def accuracy(arrays):
        with torch.no_grad():
            return float((model.eval()(arrays, present).scores.all().argmax(1) == truth).float().mean())

    order = torch.randperm(rows, generator=generator)
    shuffled = given | {"picture": {key: tensor[order] for key, tensor in given["picture"].items()}}
    assert accuracy(given) > accuracy(shuffled) + 0.3
