"""Measures of a ranking, each recomputed by a plain loop or a worked example."""

import numpy as np
import pytest

from aisle.metrics.retrieval import (
    average_precision,
    modality_gap,
    precision_at,
    recall_at,
    reciprocal_rank,
    semantic_similarity,
    shared_path,
)
from aisle.taxonomy import Taxonomy

RELEVANT = np.random.default_rng(0).random((20, 12)) < 0.2


def test_rankings_by_a_plain_loop():
    for row, rank, precision in zip(
        RELEVANT, reciprocal_rank(RELEVANT), average_precision(RELEVANT), strict=True
    ):
        places = [i for i, hit in enumerate(row, 1) if hit]
        assert rank == (1 / places[0] if places else 0)
        if places:
            assert precision == pytest.approx(np.mean([(j + 1) / p for j, p in enumerate(places)]))
        else:
            assert np.isnan(precision)
    for k in (1, 5, 12):
        assert recall_at(RELEVANT, k).tolist() == [any(row[:k]) for row in RELEVANT]
        assert precision_at(RELEVANT, k) == pytest.approx([sum(row[:k]) / k for row in RELEVANT])


def test_a_worked_example():
    """Manning, Raghavan & Schütze: relevant at ranks 1, 3 and 6."""
    row = np.array([[True, False, True, False, False, True]])
    assert average_precision(row)[0] == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)


def test_how_much_of_a_path_is_shared():
    tree = Taxonomy.from_paths([("A", "B", "C"), ("A", "B", "D"), ("A", "E"), ("F",)])
    at = [tree.index(path) for path in [("A", "B", "C"), ("A", "B", "D"), ("A", "E"), ("F",), ("A", "B")]]
    found = shared_path(tree.ancestors, np.array(at[:1]), np.array([at]))
    assert found[0] == pytest.approx([1, 2 / 3, 1 / 3, 0, 2 / 3])
    assert shared_path(tree.ancestors, np.array(at[3:4]), np.array([at]))[0].tolist() == [0, 0, 0, 1, 0]


def test_gap_and_likeness_of_meaning():
    east, north = np.tile([3.0, 0.0], (4, 1)), np.tile([0.0, 0.5], (4, 1))
    assert modality_gap(east, north) == pytest.approx(2**0.5)
    assert modality_gap(east, east * 7) == pytest.approx(0)
    names = np.array([[1.0, 0], [2, 0], [0, 1]])
    assert semantic_similarity(names, np.array([0]), np.array([[1, 2]]))[0] == pytest.approx([1, 0])
