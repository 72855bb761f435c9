"""Design rule 6: every loss recomputed by a slow loop over paths."""

import math

import numpy as np
import pytest
import torch

from aisle.models.losses import CrossEntropyLoss, PerViewLoss
from aisle.models.registry import Joint, Output, Target, build_part
from aisle.models.scores import TreeIndex, TreeScores
from aisle.taxonomy import Taxonomy
from aisle.training.loop import WeightedLoss
from tests.models.build import DIMS, context, inputs, network, tree

TREE = tree()


def scores(rows, taxonomy=TREE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, len(taxonomy.terminals), generator=generator) * 2
    return TreeScores(logits, TreeIndex(taxonomy))


def output(found, by_view=None, present=None):
    return Output(Joint(torch.zeros(1, 1)), found, by_view or {}, present or {})


def targets(taxonomy=TREE):
    """Every node once: exact where products can end there, as a branch otherwise; and Shoes as a branch."""
    shoes = taxonomy.index(("Clothing", "Shoes"))
    node = np.append(np.arange(len(taxonomy)), shoes)
    exact = np.append(taxonomy.terminal_of >= 0, False)
    return Target(torch.from_numpy(node), torch.from_numpy(exact))


def under(taxonomy, node):
    path = taxonomy.nodes[node].path
    return [i for i, t in enumerate(taxonomy.terminals) if taxonomy.nodes[t].path[: len(path)] == path]


def slow_nll(logp, taxonomy, node, exact):
    if exact:
        return -float(logp[list(taxonomy.terminals).index(node)])
    return -math.log(sum(math.exp(logp[i]) for i in under(taxonomy, node)))


def slow_smoothing(logp, taxonomy, node):
    """Cross-entropy with a target spread over ancestors' branches, each given twice what the one above is."""
    spread, share = np.zeros(len(logp)), 1.0
    weights = [(range(len(logp)), 1.0)]
    for ancestor in taxonomy.lineage(node)[:-1]:
        share *= 2
        weights.append((under(taxonomy, ancestor), share))
    for terminals, weight in weights:
        for i in terminals:
            spread[i] += weight / len(terminals)
    spread /= sum(weight for _, weight in weights)
    assert spread.sum() == pytest.approx(1)
    return -float(spread @ logp)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("adjust", [0.0, 1.0, 0.5])
def test_cross_entropy_smoothed_along_the_tree_and_adjusted(smoothing, adjust):
    shop, target = context(TREE), targets()
    found = scores(len(target.node))
    loss = CrossEntropyLoss(shop, smoothing, adjust)(output(found), target)
    prior = np.log((shop.counts + 0.5) / (shop.counts + 0.5).sum())
    expected = []
    for row, (node, exact) in enumerate(zip(target.node.tolist(), target.exact.tolist(), strict=True)):
        logits = found.logits[row].double().numpy() + adjust * prior  # Menon et al., equation 10
        logp = logits - math.log(sum(math.exp(x) for x in logits))
        one = (1 - smoothing) * slow_nll(logp, TREE, node, exact)
        expected.append(one + smoothing * slow_smoothing(logp, TREE, node) if smoothing else one)
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_smoothing_makes_a_near_miss_cheaper_than_a_far_one():
    boots, sandals, garden = (
        TREE.index(p) for p in [("Clothing", "Shoes", "Boots"), ("Clothing", "Shoes", "Sandals"), ("Garden",)]
    )
    logits = torch.zeros(2, len(TREE.terminals))
    logits[0, TREE.terminal_of[sandals]] = logits[1, TREE.terminal_of[garden]] = 5
    target = Target(torch.tensor([boots, boots]), torch.tensor([True, True]))
    found = TreeScores(logits, TreeIndex(TREE))
    near, far = CrossEntropyLoss(context(TREE), label_smoothing=0.2).per_product(found, target)
    assert near < far - 0.1
    plain = CrossEntropyLoss(context(TREE)).per_product(found, target)
    assert plain[0] == pytest.approx(plain[1].item())


@pytest.mark.slow
def test_smoothing_is_exact_over_ten_thousand_leaves():
    paths = [(f"{i // 100:02}", f"{i % 100:02}") for i in range(10_000)]
    taxonomy = Taxonomy.from_paths(paths)
    found = scores(1, taxonomy)
    found.logits = found.logits * 4 - 2
    node = taxonomy.index(("57", "31"))
    target = Target(torch.tensor([node]), torch.tensor([True]))
    loss = CrossEntropyLoss(context(taxonomy), label_smoothing=1.0).per_product(found, target)
    expected = slow_smoothing(found.all()[0].double().numpy(), taxonomy, node)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_by_view_asks_views_where_they_are_present_and_nowhere_else():
    target = targets()
    rows = len(target.node)
    there = {
        "title": torch.arange(rows) % 2 == 0,
        "picture": torch.zeros(rows, dtype=torch.bool),
        "brand": torch.ones(rows, dtype=torch.bool),
    }
    by_view = {name: scores(rows, seed=i + 1) for i, name in enumerate(there)}
    loss = PerViewLoss(context(TREE))(output(scores(rows), by_view, there), target)
    expected = []
    for name, present in there.items():
        each = [
            slow_nll(by_view[name].all()[i].numpy(), TREE, int(target.node[i]), bool(target.exact[i]))
            for i in range(rows)
            if present[i]
        ]
        expected.append(np.mean(each) if each else 0.0)
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)
    only = PerViewLoss(context(TREE), views=["brand"])(output(scores(rows), by_view, there), target)
    assert only.item() == pytest.approx(expected[2], rel=1e-5)


def test_by_view_teaches_each_view_from_the_rows_that_have_it():
    model, loss = network("LinearFusion", view_dropout=0.0).train(), PerViewLoss(context(), views=["title"])
    present = torch.ones(5, 3, dtype=torch.bool)
    present[:, 0] = torch.tensor([True, False, False, True, False])
    given = inputs()
    given["title"]["vector"].requires_grad_()
    found = model(given, present, score_views=loss.views_to_score(model.views))
    loss(found, Target(torch.full((5,), 4), torch.ones(5, dtype=torch.bool))).backward()
    moved = given["title"]["vector"].grad.abs().sum(1) > 0
    assert torch.equal(moved, present[:, 0])
    assert model.encoders["picture"].linear.weight.grad is None or not (
        model.encoders["picture"].linear.weight.grad.any()
    )


def test_by_view_is_silent_where_the_fusion_has_no_shared_space():
    found = network("ConcatFusion")(inputs(), torch.ones(5, 3, dtype=torch.bool), score_views=list(DIMS))
    target = Target(torch.full((5,), 4), torch.ones(5, dtype=torch.bool))
    assert PerViewLoss(context())(found, target).item() == 0


def test_losses_are_added_with_their_weights_and_may_own_parameters():
    class Own(torch.nn.Module):
        def __init__(self, context, scale=2.0):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(scale))

        def forward(self, output, target):
            return self.scale

    target = targets()
    found = output(scores(len(target.node)))
    plain = CrossEntropyLoss(context(TREE))
    total = WeightedLoss([plain, build_part(Own, "loss", {}, context=context(TREE))], [0.5, 3.0])
    both, each = total(found, target)
    assert both.item() == pytest.approx(0.5 * plain(found, target).item() + 6.0)
    assert each.tolist() == pytest.approx([plain(found, target).item(), 2.0])
    assert total.names == ["CrossEntropyLoss", "Own"]
    assert [p.item() for p in total.parameters()] == [2.0]
