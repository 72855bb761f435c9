import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef, precision_recall_fscore_support, recall_score

from aisle.metrics import f1_scores, macro_f1_of_pairs
from aisle.metrics.flat import balanced_accuracy, matthews_correlation

labels = st.integers(0, 6)


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=60))
def test_f1_is_scikit_learns(pairs):
    true, predicted = np.array(pairs).T
    ours = f1_scores(true, predicted)
    assert ours.macro == pytest.approx(f1_score(true, predicted, average="macro", zero_division=0))
    assert ours.weighted == pytest.approx(f1_score(true, predicted, average="weighted", zero_division=0))
    assert macro_f1_of_pairs(np.array(pairs)) == ours.macro
    theirs = precision_recall_fscore_support(true, predicted, zero_division=0)
    for mine, other in zip((ours.precision, ours.recall, ours.f1, ours.support), theirs, strict=True):
        assert np.allclose(mine, other)


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=60))
def test_balanced_accuracy_and_matthews_correlation_are_scikit_learns(pairs):
    true, predicted = np.array(pairs).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of a single label
        theirs = matthews_corrcoef(true, predicted)
    assert matthews_correlation(true, predicted) == pytest.approx(theirs)
    recall = recall_score(true, predicted, labels=np.unique(true), average="macro", zero_division=0)
    assert balanced_accuracy(true, predicted) == pytest.approx(recall)


def test_a_label_only_ever_predicted_lowers_the_macro_average():
    assert f1_scores(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])).macro == pytest.approx(
        (1 + 2 / 3 + 0) / 3
    )


def test_of_nothing_there_is_no_score():
    assert np.isnan(f1_scores(np.array([], int), np.array([], int)).macro)
