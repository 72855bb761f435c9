import numpy as np
import pytest
from sklearn.metrics import f1_score

from aisle.metrics import by_frequency
from tests.metrics.helpers import TREE, random_truth


def test_bands_split_the_products_by_what_their_label_had_in_training():
    rng = np.random.default_rng(0)
    count = np.array([0, 2, 3, 4, 10, 11, 30, 31, 500, 1, 0, 5, 12])[: len(TREE)]
    truth = random_truth(rng, 400, width=1)
    matched = truth.match(rng.choice(TREE.terminals, 400))
    bands = by_frequency(matched, count)
    assert [b.name for b in bands] == ["0", "1–3", "4–10", "11–30", "31+"]
    assert sum(len(b.rows) for b in bands) == 400
    for band in bands:
        inside = [
            n for n in range(len(TREE)) if band.low <= count[n] <= (10**9 if band.high is None else band.high)
        ]
        assert set(matched.node[band.rows]) <= set(inside)
        assert band.accuracy == matched.right[band.rows].mean()
        true_labels = [n for n in inside if n in matched.node]
        assert band.classes == len(true_labels)
        each = f1_score(matched.node, matched.answer, labels=true_labels, average="macro", zero_division=0)
        assert band.macro_f1 == pytest.approx(each)


def test_bands_without_products_are_left_out():
    truth = random_truth(np.random.default_rng(1), 20, width=1)
    matched = truth.match(truth.node[:, 0])
    assert [b.name for b in by_frequency(matched, np.full(len(TREE), 7))] == ["4–10"]
