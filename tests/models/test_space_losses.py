"""Losses of classes' frequency and of the shared space, recomputed pair by pair."""

import math

import numpy as np
import pytest
import torch

from aisle.errors import MissingModelError, RecipeError
from aisle.models.label_embeddings import path_vectors
from aisle.models.losses import (
    ClassBalancedLoss,
    ContrastiveLoss,
    CrossEntropyLoss,
    CrossModalGapLoss,
    FocalLoss,
    PerViewLoss,
    SemanticGraphLoss,
)
from aisle.models.registry import Joint, Output, Target, build_part
from tests.models.build import context, inputs, network
from tests.models.pretrained import tiny_text
from tests.models.test_losses import TREE, output, scores, slow_nll, targets, under


def slow(target, found):
    rows = zip(target.node.tolist(), target.exact.tolist(), strict=True)
    return [
        slow_nll(found.all()[i].double().numpy(), TREE, node, exact) for i, (node, exact) in enumerate(rows)
    ]


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_counts_less_what_is_answered_well(gamma):
    target = targets()
    found = scores(len(target.node))
    expected = [(1 - math.exp(-nll)) ** gamma * nll for nll in slow(target, found)]
    loss = FocalLoss(context(TREE), gamma)(output(found), target)
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-4)


def test_focals_worked_number():
    """Lin et al. (2017), section 3.2: with gamma 2 an example of p = .9 has a loss 100 times lower, one of
    p ≈ .968 1,000 times, one of p ≤ .5 at most 4 times."""
    for p, times in [(0.9, 100), (0.968, 977), (0.5, 4)]:
        assert 1 / (1 - p) ** 2 == pytest.approx(times, rel=0.01)
        logits = torch.full((1, len(TREE.terminals)), math.log((1 - p) / (len(TREE.terminals) - 1)))
        logits[0, 2] = math.log(p)
        found = scores(1)
        found.logits = logits
        target = Target(torch.tensor([int(TREE.terminals[2])]), torch.tensor([True]))
        plain, focal = (
            loss(output(found), target).item() for loss in (CrossEntropyLoss(context()), FocalLoss(context()))
        )
        assert plain / focal == pytest.approx(times, rel=0.01)


def test_class_balance_weighs_by_the_effective_number():
    shop, target = context(TREE), targets()
    found = scores(len(target.node))
    beta = 0.9

    def effective(n):
        return sum(beta**i for i in range(max(int(n), 1)))  # 1 + beta + beta² + …: Cui et al., proposition 1

    mean = np.mean([1 / effective(n) for n in shop.counts])
    expected = []
    for nll, node, exact in zip(
        slow(target, found), target.node.tolist(), target.exact.tolist(), strict=True
    ):
        n = shop.counts[TREE.terminal_of[node]] if exact else shop.counts[under(TREE, node)].sum()
        expected.append(nll / effective(n) / mean)
    assert ClassBalancedLoss(shop, beta)(output(found), target).item() == pytest.approx(
        np.mean(expected), rel=1e-4
    )
    alike = ClassBalancedLoss(shop, 0.0)(output(found), target)
    assert alike.item() == pytest.approx(CrossEntropyLoss(shop)(output(found), target).item(), rel=1e-5)
    with pytest.raises(RecipeError, match="beta is at least 0 and less than 1, not 1"):
        build_part(ClassBalancedLoss, "loss", {"beta": 1.0}, context=shop)


@pytest.mark.parametrize(
    ("kind", "option", "why"),
    [
        (FocalLoss, {"gamma": -1.0}, "gamma is at least 0"),
        (ContrastiveLoss, {"temperature": 0.0}, "the temperature is above 0"),
        (SemanticGraphLoss, {"margin": 0.0}, "the margin is above 0"),
    ],
)
def test_options_that_teach_nothing_are_refused(kind, option, why):
    with pytest.raises(RecipeError, match=why):
        build_part(kind, "loss", option, context=context(TREE))


# -- the shared space --------------------------------------------------------------------------


ROWS = 7


def space(seed=0):
    """Three views of seven products; some absent, and an absent one's vector is nonsense."""
    generator = torch.Generator().manual_seed(seed)
    vectors = {name: torch.randn(ROWS, 4, generator=generator) for name in ("title", "brand", "picture")}
    present = {
        "title": torch.tensor([1, 1, 1, 0, 1, 1, 0]).bool(),
        "brand": torch.tensor([1, 0, 0, 0, 0, 0, 0]).bool(),
        "picture": torch.tensor([1, 1, 0, 1, 1, 0, 0]).bool(),
    }
    for name, here in present.items():
        vectors[name][~here] = 1e6
    shared = {name: vector.requires_grad_() for name, vector in vectors.items()}
    return Output(Joint(vectors["title"].detach(), shared), scores(ROWS), {}, present)


def unit(output, view, row):
    vector = output.joint.views[view][row].detach().double().numpy()
    return vector / math.sqrt(sum(v * v for v in vector))


PAIRS = [("title", "brand"), ("title", "picture"), ("brand", "picture")]
ANY = Target(torch.zeros(ROWS, dtype=torch.long), torch.ones(ROWS, dtype=torch.bool))


def both(output, one, other):
    return [i for i in range(ROWS) if output.present[one][i] and output.present[other][i]]


def test_contrastive_finds_the_other_view_of_the_same_product():
    found, temperature = space(), 0.2
    losses = []
    for one, other in PAIRS:
        rows = both(found, one, other)
        if len(rows) < 2:
            continue
        each = []
        for a, b in ((one, other), (other, one)):
            for i in rows:
                likeness = {j: math.exp(unit(found, a, i) @ unit(found, b, j) / temperature) for j in rows}
                each.append(-math.log(likeness[i] / sum(likeness.values())))
        losses.append(np.mean(each))
    assert len(losses) == 1  # title and picture: no two products have a brand
    loss = ContrastiveLoss(context(TREE), temperature)
    assert loss(found, ANY).item() == pytest.approx(np.mean(losses), rel=1e-5)
    loss(found, ANY).backward()
    assert loss.scale.grad.abs() > 0
    moved = found.joint.views["title"].grad.abs().sum(1) > 0
    assert moved.tolist() == [i in both(found, "title", "picture") for i in range(ROWS)]


def test_gap_is_the_mean_distance_of_a_products_views():
    found = space()
    expected = [
        1 - unit(found, one, i) @ unit(found, other, i)
        for one, other in PAIRS
        for i in both(found, one, other)
    ]
    loss = CrossModalGapLoss(context(TREE))(found, ANY)
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)
    loss.backward()
    for name, here in found.present.items():
        assert not found.joint.views[name].grad[~here].any()
    only = CrossModalGapLoss(context(TREE), views=["title", "brand"])(found, ANY)
    assert only.item() == pytest.approx(expected[0], rel=1e-5)


@pytest.mark.parametrize("margin", [0.3, 0.7, 2.5])
def test_the_semantic_graph_keeps_classes_as_far_apart_as_their_names(margin):
    found, shop = space(), context(TREE)
    node = torch.tensor([0, 1, 2, 2, 5, 8, 3])
    target = Target(node, torch.ones(ROWS, dtype=torch.bool))
    embeddings = [
        (unit(found, view, i), i) for view in found.present for i in range(ROWS) if found.present[view][i]
    ]
    total = 0.0
    for u, m in embeddings:
        for v, n in embeddings:
            one, other = (shop.class_vectors[int(node[i])].astype(float) for i in (m, n))
            graph = 1 - one @ other / math.sqrt((one @ one) * (other @ other))
            distance = 1 - u @ v
            if graph < margin and distance < margin:
                total += (distance - graph) ** 2
    loss = SemanticGraphLoss(shop, margin)(found, target)
    assert loss.item() == pytest.approx(total / len(embeddings) ** 2, rel=1e-4)
    loss.backward()
    for name, here in found.present.items():
        grad = found.joint.views[name].grad
        assert grad is None or not grad[~here].any()


def test_minimising_the_graph_loss_places_classes_like_their_names():
    shop = context(TREE)
    node = torch.tensor(
        [
            TREE.index(p)
            for p in [("Clothing", "Shoes", "Boots"), ("Clothing", "Shoes", "Sandals"), ("Garden",)]
        ]
    )
    target = Target(node, torch.ones(3, dtype=torch.bool))
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(3, 8, generator=generator).requires_grad_()
    loss, optimizer = SemanticGraphLoss(shop, margin=3.0), torch.optim.Adam([vectors], lr=0.05)
    for _ in range(200):
        found = Output(Joint(vectors, {"title": vectors}), scores(3), {}, {"title": torch.ones(3).bool()})
        optimizer.zero_grad()
        loss(found, target).backward()
        optimizer.step()
    place = torch.nn.functional.normalize(vectors.detach(), dim=1)
    names = torch.from_numpy(shop.class_vectors)[node]
    names = torch.nn.functional.normalize(names, dim=1)
    torch.testing.assert_close(place @ place.T, names @ names.T, atol=0.02, rtol=0)


def test_a_view_that_there_is_not_is_no_silent_zero():
    with pytest.raises(RecipeError, match="no view 'pictures'; the views are title, brand, picture"):
        PerViewLoss(context(TREE), views=["pictures"])(space(), ANY)


@pytest.mark.parametrize("kind", [ContrastiveLoss, CrossModalGapLoss, SemanticGraphLoss])
def test_without_views_to_compare_the_loss_is_zero_and_without_a_space_it_says_so(kind):
    loss, found = kind(context(TREE)), space()
    nobody = {name: torch.zeros(ROWS, dtype=torch.bool) for name in found.present}
    assert loss(found._replace(present=nobody), ANY).item() == 0
    with pytest.raises(
        RecipeError, match=rf"loss {kind.__name__} needs a fusion with a shared space, such as HuseFusion"
    ):
        loss(network("ConcatFusion")(inputs(), torch.ones(5, 3, dtype=torch.bool)), ANY)
    with pytest.raises(RecipeError, match="no view 'pictures'; the views are title, brand, picture"):
        kind(context(TREE), views=["pictures"])(found, ANY)


def test_names_are_embedded_by_any_text_encoder_along_the_whole_path(tmp_path):
    words = [node.name for node in TREE.nodes]
    folder = tiny_text(tmp_path / "text", words)
    vectors = path_vectors(TREE, str(folder))
    assert vectors.shape == (len(TREE), 3 * 16)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    at = {path: unit[TREE.index(path)] for path in [n.path for n in TREE.nodes]}
    boots, sandals, shoes = (at["Clothing", "Shoes", *leaf] for leaf in (["Boots"], ["Sandals"], []))
    clothing, garden = at["Clothing",], at["Garden",]
    assert boots @ shoes == pytest.approx(2 / math.sqrt(6), abs=1e-5)  # two of three names are the same
    assert clothing @ shoes == pytest.approx(1 / math.sqrt(2), abs=1e-5)
    assert boots @ sandals > boots @ clothing > boots @ garden
    loss = SemanticGraphLoss(context(TREE), label_encoder=str(folder))
    assert loss.classes.shape == (len(TREE), 48)
    assert "classes" not in loss.state_dict()  # nothing of it is kept in checkpoints
    with pytest.raises(MissingModelError, match="nowhere"):
        SemanticGraphLoss(context(TREE), label_encoder=str(tmp_path / "nowhere"))
