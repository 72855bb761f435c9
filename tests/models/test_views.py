"""Design rule 2, over every fusion and head: present views count, absent ones and neighbors do not."""

import pytest
import torch

from aisle.models import fusions, heads
from aisle.models.config import ModelSpec
from aisle.models.heads import log_prior
from aisle.models.registry import Target
from aisle.taxonomy import Taxonomy
from tests.models.build import DIMS, inputs, network

EVERY = pytest.mark.parametrize(
    ("fusion", "head"), [(f, h) for f in fusions.__all__ for h in heads.__all__], ids=lambda name: name
)
HERE = torch.ones(5, len(DIMS), dtype=torch.bool)


def changed(given, view, rows, value):
    """The same inputs with one view's rows filled with a value, or with noise."""
    out = {name: {k: t.clone() for k, t in arrays.items()} for name, arrays in given.items()}
    noise = torch.randn(out[view]["vector"].shape, generator=torch.Generator().manual_seed(9))
    out[view]["vector"][rows] = noise[rows] if value is None else value
    return out


@EVERY
@pytest.mark.parametrize("view", DIMS)
def test_a_present_view_can_change_the_answer(fusion, head, view):
    model, given = network(fusion, head), inputs()
    other = model(changed(given, view, [2], None), HERE).scores.all()
    same = model(given, HERE).scores.all()
    assert (other[2] - same[2]).abs().max() > 1e-3
    others = [0, 1, 3, 4]
    torch.testing.assert_close(other[others], same[others])


@EVERY
@pytest.mark.parametrize("view", DIMS)
def test_an_absent_view_changes_nothing_whatever_it_holds(fusion, head, view):
    model, given = network(fusion, head), inputs()
    present = HERE.clone()
    present[2, list(DIMS).index(view)] = False
    answer = model(given, present)
    for value in (float("nan"), float("inf"), 1e30, 0.0, None):
        other = model(changed(given, view, [2], value), present, score_views=list(DIMS))
        assert torch.equal(other.scores.all(), answer.scores.all())
        assert torch.isfinite(other.joint.product).all()


@EVERY
def test_every_views_encoder_learns_where_present_and_its_token_where_absent(fusion, head):
    model = network(fusion, head, view_dropout=0.0).train()
    for view in DIMS:
        model.zero_grad()
        present = HERE.clone()
        present[:2, list(DIMS).index(view)] = False
        target = Target(torch.full((5,), 4), torch.ones(5, dtype=torch.bool))
        model(inputs(), present).scores.nll(target.node, target.exact).sum().backward()
        assert model.encoders[view].linear.weight.grad.abs().max() > 0
        assert model.missing_token[view].grad.abs().max() > 0


@EVERY
def test_an_answer_does_not_depend_on_its_neighbors(fusion, head):
    model, given = network(fusion, head), inputs(8)
    present = torch.rand(8, 3, generator=torch.Generator().manual_seed(3)) > 0.4
    together = model(given, present).scores.all()
    for row in range(8):
        alone = {name: {"vector": arrays["vector"][row : row + 1]} for name, arrays in given.items()}
        torch.testing.assert_close(model(alone, present[row : row + 1]).scores.all()[0], together[row])


@EVERY
def test_without_any_view_the_answer_is_the_prior(fusion, head):
    model = network(fusion, head)
    found = model(inputs(), torch.zeros(5, 3, dtype=torch.bool)).scores.all()
    counts = torch.tensor([3.0, 1, 4, 1, 5, 9, 2])  # any: the network was built with others
    assert found.shape == (5, len(counts))
    assert torch.equal(found[0], found[4])
    torch.testing.assert_close(found.exp().sum(1), torch.ones(5))


def test_the_prior_is_the_share_of_training_products():
    model = network("ConcatFusion", "TreeHead")
    taxonomy = model.head.index.taxonomy
    found = model(inputs(), torch.zeros(5, 3, dtype=torch.bool)).scores.all()[0]
    from tests.models.build import context

    counts = torch.from_numpy(context(taxonomy).counts).float() + 0.5
    torch.testing.assert_close(found, (counts / counts.sum()).log())
    torch.testing.assert_close(found, log_prior(taxonomy, context(taxonomy).counts))


def test_views_are_dropped_in_training_alone_and_never_the_last_one():
    model, given = network(view_dropout=0.5), inputs(400)
    present = torch.ones(400, 3, dtype=torch.bool)
    present[:100, 1:] = False
    present[100:110] = False
    torch.manual_seed(0)
    seen = torch.stack(list(model.train()(given, present).present.values()), 1)
    assert (seen.any(1) == present.any(1)).all()
    assert not (seen & ~present).any()
    assert 0.4 < seen[110:].float().mean() < 0.7
    untouched = torch.stack(list(model.eval()(given, present).present.values()), 1)
    assert torch.equal(untouched, present)


def test_view_dropout_is_on_by_default():
    part = {"type": "VectorEncoder"}
    spec = ModelSpec(
        views={"a": {"encoder": part}}, fusion={"type": "ConcatFusion"}, head={"type": "TreeHead"}
    )
    assert spec.view_dropout > 0


@EVERY
def test_single_views_answer_alone_where_the_fusion_has_a_shared_space(fusion, head):
    model, given = network(fusion, head), inputs()
    output = model(given, HERE, score_views=["picture", "title"])
    if output.joint.views is None:
        assert output.by_view == {}
        return
    assert set(output.by_view) == {"title", "picture"}
    other = model(changed(given, "title", slice(None), None), HERE, score_views=["picture", "title"])
    torch.testing.assert_close(other.by_view["picture"].all(), output.by_view["picture"].all())
    assert (other.by_view["title"].all() - output.by_view["title"].all()).abs().max() > 1e-3


@EVERY
def test_a_tree_of_one_category_has_one_answer(fusion, head):
    model = network(fusion, head, taxonomy=Taxonomy.from_paths([("Only",)]))
    torch.testing.assert_close(model(inputs(), HERE).scores.all(), torch.zeros(5, 1))
