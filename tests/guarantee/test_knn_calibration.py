"""Neighbors who belong where a path leads make it surer, as far as the calibration part says."""

import numpy as np
import pytest

from aisle.guarantee import KnnCalibration, Nearest, NeighborIndex, Policy, Sample, clopper_pearson, fit
from aisle.taxonomy import Scores, Targets, Taxonomy

TREE = Taxonomy.from_paths([(a, b) for a in "ABCD" for b in "xyz"])
DIM = 24
CENTRES = np.random.default_rng(3).normal(0, 1, (12, DIM))


def shop(rows, seed):
    """A network as sure of a tenth of wrong answers as of right ones; what products are like tells them."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 12, rows)
    said = np.where(rng.random(rows) < 0.85, label, rng.integers(0, 12, rows))
    logits = rng.normal(0, 1, (rows, 12))
    logits[np.arange(rows), said] += rng.gamma(4, 1.0, rows)
    scores = Scores(TREE, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    vectors = CENTRES[label] + rng.normal(0, 0.8, (rows, DIM))
    return scores, Targets(TREE.terminals[label], np.ones(rows, dtype=bool)), vectors


@pytest.fixture(scope="module")
def neighbors():
    _, targets, vectors = shop(1000, 1)
    return NeighborIndex(vectors, [TREE.nodes[n].id for n in targets.node])


def sample(neighbors, rows, seed, groups=None):
    scores, targets, vectors = shop(rows, seed)
    return Sample(scores, targets, groups, neighbors.query(vectors, TREE))


def answers(policy, asked):
    descent = policy.descend(asked.scores, asked.nearest)
    strange = policy.is_ood(policy.calibrate(asked.scores), asked.nearest)
    accepted = policy.stops(TREE, descent, strange) == descent.depth
    return accepted, descent.best == asked.targets.node, descent


@pytest.mark.slow
def test_more_is_answered_at_the_same_promise(neighbors):
    parts, fresh = [sample(neighbors, 700, 2), sample(neighbors, 2500, 3)], sample(neighbors, 5000, 4)
    alone = fit(*(part._replace(nearest=None) for part in parts), precision=0.93)
    asked = fit(*parts, precision=0.93)
    accepted, right, descent = answers(asked, fresh)
    before, _, _ = answers(alone, fresh._replace(nearest=None))
    assert accepted.mean() > before.mean() + 0.1
    assert clopper_pearson(int(right[accepted].sum()), int(accepted.sum()))[1] >= 0.93
    assert (np.diff(descent.confidence, axis=1) <= 0).all()
    assert ((descent.confidence >= 0) & (descent.confidence <= 1)).all()
    found = asked.predict([""] * 5000, fresh.scores, nearest=fresh.nearest)
    assert [p.decision == "accept" for p in found] == accepted.tolist()


def test_a_vote_is_counted_as_by_hand(neighbors):
    asked = sample(neighbors, 5, 6).nearest
    nodes = TREE.ancestors[TREE.terminals[[0, 3, 5, 7, 11]]]
    found = asked.vote_share(TREE, nodes)
    for row in range(5):
        weight = np.exp(10 * (asked.similarity[row, 0] - asked.similarity[row, 0].max()))
        for level in range(2):
            there = [TREE.ancestors[p, level] == nodes[row, level] for p in asked.node[row, 0]]
            assert found[row, 0, level] == pytest.approx(weight[there].sum() / weight.sum())


def test_a_product_without_any_neighbor_counts_as_usual(neighbors):
    asked = sample(neighbors, 600, 7)
    policy = fit(asked, asked, precision=0.8)
    nothing = neighbors.query(np.zeros((600, DIM)), TREE)
    found = policy.predict([""] * 600, asked.scores, nearest=nothing)
    assert {p.decision for p in found} >= {"accept"}
    assert all(0 <= c <= 1 for p in found for c in p.confidence)


def test_it_survives_json_and_too_few_rows_learn_nothing(neighbors):
    asked = sample(neighbors, 600, 8)
    policy = fit(asked, asked, precision=0.8)
    assert isinstance(policy.knn_calibration, KnnCalibration)
    again = Policy.from_json(policy.to_json())
    assert again == policy
    assert isinstance(again.knn_calibration, KnnCalibration)
    few = Sample(*(shop(30, 9)[:2]), None, neighbors.query(shop(30, 9)[2], TREE))
    assert fit(few, few).knn_calibration is None


def test_neighbors_in_places_that_the_tree_has_lost_have_no_vote(neighbors):
    smaller = Taxonomy.from_paths([(a, b) for a in "ABC" for b in "xyz"])
    asked = neighbors.query(shop(50, 5)[2], smaller)
    assert (asked.node[np.isfinite(asked.similarity)] < len(smaller)).all()
    vote = asked.vote_share(smaller, smaller.ancestors[np.full(50, smaller.terminals[0])])
    assert np.nanmax(vote) <= 1
    joined = Nearest.join([asked, asked])
    assert joined.node.shape == (100, 1, 20)
