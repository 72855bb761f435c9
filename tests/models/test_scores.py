"""Design rule 1: one softmax over terminals; heads that can contradict themselves are decoded over paths."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
import torch

from aisle import taxonomy as numpy_side
from aisle.models.scores import LevelScores, TreeIndex, TreeScores
from aisle.taxonomy import Targets, Taxonomy
from tests.models.build import tree


@pytest.fixture(scope="module")
def index():
    return TreeIndex(tree())


def tree_scores(index, rows=4, seed=0, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, len(index.taxonomy.terminals), generator=generator) * scale
    return TreeScores(logits.requires_grad_(), index)


def level_scores(index, rows=4, seed=0, weights=None):
    generator = torch.Generator().manual_seed(seed)
    logits = [torch.randn(rows, width, generator=generator) * 2 for width in index.widths]
    return LevelScores(logits, index, weights or [1.0] * len(index.widths))


@pytest.mark.parametrize("make", [tree_scores, level_scores])
def test_torch_and_numpy_answer_the_same_questions_alike(index, make):
    found = make(index)
    twin = numpy_side.Scores(index.taxonomy, found.all().detach().double().numpy())
    node, logp = found.topk(3)
    assert node.tolist() == twin.topk(3).node.tolist()
    np.testing.assert_allclose(logp.detach(), twin.topk(3).logp, rtol=1e-5)
    np.testing.assert_allclose(np.exp(twin.all()).sum(1), 1, rtol=1e-5)


def test_levels_and_likelihoods_of_one_softmax_are_those_of_numpy(index):
    found, taxonomy = tree_scores(index, rows=len(index.taxonomy)), index.taxonomy
    twin = numpy_side.Scores(taxonomy, found.all().detach().double().numpy())
    for depth in range(1, taxonomy.depth + 1):
        level = found.level(depth).detach()
        np.testing.assert_allclose(level, twin.level(depth), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(level.exp().sum(1), 1, rtol=1e-5)
    every = np.arange(len(taxonomy))
    exact = (taxonomy.terminal_of >= 0) & (every % 2 == 0)
    nll = found.nll(torch.from_numpy(every), torch.from_numpy(exact)).detach()
    np.testing.assert_allclose(nll, twin.nll(Targets(every, exact)), rtol=1e-4, atol=1e-6)


def test_a_branch_is_as_likely_as_all_that_lies_under_it(index):
    found, taxonomy = tree_scores(index), index.taxonomy
    shoes = taxonomy.index(("Clothing", "Shoes"))
    below = [i for i, n in enumerate(taxonomy.nodes[t] for t in taxonomy.terminals) if "Shoes" in n.path]
    assert len(below) == 3
    here = torch.full((4,), shoes)
    branch = found.nll(here, torch.zeros(4, dtype=torch.bool))
    stop_here = found.nll(here, torch.ones(4, dtype=torch.bool))
    np.testing.assert_allclose(branch.detach(), -found.all().exp()[:, below].sum(1).log().detach(), rtol=1e-5)
    assert (stop_here > branch).all()


def test_the_last_column_of_a_level_is_that_the_path_ended_above(index):
    found, taxonomy = tree_scores(index), index.taxonomy
    ended = [i for i, t in enumerate(taxonomy.terminals) if taxonomy.node_depth[t] < 3]
    expected = found.all().exp()[:, ended].sum(1)
    np.testing.assert_allclose(found.level(3)[:, -1].exp().detach(), expected.detach(), rtol=1e-5)
    assert found.level(1)[:, -1].exp().max() == 0


def test_extreme_logits_stay_finite_where_something_is_possible(index):
    n = len(index.taxonomy.terminals)
    logits = torch.full((1, n), -400.0)
    logits[0, 0] = 400.0
    found = TreeScores(logits.requires_grad_(), index)
    node = torch.tensor([index.taxonomy.index(("Home",))])
    loss = found.nll(node, torch.tensor([False]))
    assert loss.item() == pytest.approx(800 - math.log(2), rel=1e-4)
    loss.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_levels_are_decoded_to_the_most_probable_valid_path(index):
    found, taxonomy = level_scores(index, rows=50), index.taxonomy
    columns = [
        {int(node): i for i, node in enumerate(taxonomy.level(depth))} | {-1: len(taxonomy.level(depth))}
        for depth in range(1, taxonomy.depth + 1)
    ]
    contradictions = 0
    for row in range(50):
        value = {
            int(t): sum(
                float(found.level(d + 1)[row, columns[d][int(taxonomy.ancestors[t, d])]])
                for d in range(taxonomy.depth)
            )
            for t in taxonomy.terminals
        }
        ranked = sorted(value, key=value.get, reverse=True)
        assert found.topk(len(ranked))[0][row].tolist() == ranked
        free = tuple(int(found.level(d + 1)[row].argmax()) for d in range(taxonomy.depth))
        valid = {tuple(columns[d][int(a)] for d, a in enumerate(taxonomy.ancestors[t])) for t in ranked}
        contradictions += free not in valid
    assert contradictions > 5  # else the test shows nothing


def test_level_likelihoods_are_weighted_and_know_nothing_below_a_branch(index):
    found, taxonomy = level_scores(index, weights=[1.0, 0.5, 0.25]), index.taxonomy
    shoes = taxonomy.index(("Clothing", "Shoes"))
    first = {int(n): i for i, n in enumerate(taxonomy.level(1))}
    second = {int(n): i for i, n in enumerate(taxonomy.level(2))}
    here = torch.full((4,), shoes)
    upper = -found.level(1)[:, first[taxonomy.index(("Clothing",))]] - 0.5 * found.level(2)[:, second[shoes]]
    branch = found.nll(here, torch.zeros(4, dtype=torch.bool))
    torch.testing.assert_close(branch, upper)
    exact = found.nll(here, torch.ones(4, dtype=torch.bool))
    torch.testing.assert_close(exact, upper - 0.25 * found.level(3)[:, -1])


@pytest.mark.parametrize("make", [tree_scores, level_scores])
def test_some_rows_of_scores_are_scores_of_some_rows(index, make):
    found = make(index)
    assert torch.equal(found[1:3].all(), found.all()[1:3])
    assert torch.equal(found[1:3].level(2), found.level(2)[1:3])


def test_ten_thousand_leaves_need_no_dense_matrix():
    paths = [
        (f"{a}", f"{a} {b}", f"{a} {b} {c}") for a, b, c in itertools.product(range(20), range(20), range(25))
    ]
    taxonomy = Taxonomy.from_paths(paths)
    tracemalloc.start()
    index = TreeIndex(taxonomy)
    python_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    stored = sum(b.numel() * b.element_size() for b in index.buffers() if not b.is_sparse)
    stored += sum(b.values().numel() * 24 for b in index.buffers() if b.is_sparse)
    dense = len(taxonomy.terminals) * len(taxonomy) * 4  # 420 MB
    assert len(taxonomy.terminals) == 10_000
    assert max(stored, python_peak) < dense / 20
    found = tree_scores(index, rows=2)
    node = torch.tensor([0, len(taxonomy) - 1])
    loss = found.nll(node, torch.tensor([False, True]))
    loss.sum().backward()
    assert torch.isfinite(found.logits.grad).all()
    torch.testing.assert_close(found.level(1).exp().sum(1), torch.ones(2))
