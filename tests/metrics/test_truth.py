import numpy as np
import pytest

from aisle.metrics import Truth, accuracy, strict_accuracy, topk_accuracy
from aisle.taxonomy import Scores, Targets
from tests.metrics.helpers import (
    TREE,
    fits,
    judged_by_hand,
    node,
    path_of,
    places,
    random_scores,
    random_truth,
)


def test_each_prediction_is_judged_as_a_plain_loop_over_paths_judges_it():
    rng = np.random.default_rng(0)
    truth, predicted = random_truth(rng, 400), rng.choice(TREE.terminals, 400)
    matched = truth.match(predicted)
    for i in range(400):
        label, right, shared = judged_by_hand(truth, i, path_of(TREE, predicted[i]))
        assert (path_of(TREE, matched.node[i]), matched.right[i], matched.shared[i]) == (label, right, shared)
    assert accuracy(matched) == matched.right.mean()
    assert 0 < strict_accuracy(matched) < accuracy(matched) < 1


def test_a_branch_label_is_met_anywhere_below_and_an_exact_one_only_there():
    a = node("A")
    exact = Truth.of(TREE, Targets(np.array([a, a]), np.array([True, False])))
    matched = exact.match(np.array([node("A", "x")] * 2))
    assert matched.right.tolist() == [False, True]
    assert not matched.strict.any()
    assert matched.answer.tolist() == [node("A", "x"), a]


def test_any_acceptable_place_counts_as_right_and_the_nearest_explains_an_error():
    targets = Targets(np.array([node("B"), node("B")]), np.array([True, True]))
    truth = Truth.of(TREE, targets, also=[[node("A", "y", "1")], [node("A", "y", "1")]])
    matched = truth.match(np.array([node("A", "y", "1"), node("A", "y", "2")]))
    assert matched.right.tolist() == [True, False]
    assert matched.node.tolist() == [node("A", "y", "1")] * 2
    assert matched.shared.tolist() == [3, 2]


def test_topk_counts_a_hit_anywhere_among_the_k_most_probable():
    rng = np.random.default_rng(1)
    truth, scores = random_truth(rng, 200), random_scores(rng, 200)
    for k in (1, 3, 5):
        hits = 0
        for i in range(200):
            top = np.argsort(-scores.all()[i])[:k]
            hits += any(fits(path_of(TREE, TREE.terminals[t]), p) for t in top for p in places(truth, i))
        assert topk_accuracy(scores, truth, k) == hits / 200


def test_a_place_without_any_probability_is_never_a_hit():
    logp = np.full((1, len(TREE.terminals)), -np.inf)
    logp[0, 0] = 0.0
    truth = Truth.of(TREE, Targets(np.array([node("B")]), np.array([True])))
    assert topk_accuracy(Scores(TREE, logp), truth, 8) == 0
    assert np.isinf(truth.nll(Scores(TREE, logp))).all()


def test_likelihood_is_the_probability_of_being_right():
    rng = np.random.default_rng(2)
    truth, scores = random_truth(rng, 300), random_scores(rng, 300)
    p = np.exp(scores.all())
    for i, nll in enumerate(truth.nll(scores)):
        hit = [any(fits(path_of(TREE, t), place) for place in places(truth, i)) for t in TREE.terminals]
        assert np.isclose(nll, -np.log(p[i, hit].sum()))


def test_unlabelled_products_are_refused():
    with pytest.raises(ValueError, match="no acceptable category"):
        Truth.of(TREE, Targets(np.array([0, -1]), np.array([True, False])))
