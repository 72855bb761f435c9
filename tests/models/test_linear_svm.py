"""The SVM beside scikit-learn's, the ridge regression beside a solve by hand."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC

from aisle.models.linear import svm
from aisle.models.linear.rbf import RBFFeatures, fit_ridge
from aisle.models.linear.svm import LinearWeights, fit_linear_svm


def rows(n=120, features=40, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, n)
    x = sparse.random(n, features, 0.2, "csr", np.float32, rng)
    x += sparse.csr_matrix(np.eye(classes, features, dtype=np.float32)[label])
    x = sparse.csr_matrix(x.multiply(1 / sparse.linalg.norm(x, axis=1)[:, None])).astype(np.float32)
    return x, label


def test_margins_are_those_of_scikit_learns_linear_svc():
    x, label = rows()
    # Rows of length 1, so that the penalty is absolute; LinearSVC's intercept is a feature of 1, too.
    found = fit_linear_svm(x, label, 4, 0.5)
    theirs = LinearSVC(C=1.0, intercept_scaling=1.0, tol=1e-8, max_iter=100_000).fit(x, label)
    want = theirs.decision_function(x)
    assert np.abs(found.margins(x) - want).max() < 0.2  # a few Newton steps, not all
    assert (found.margins(x).argmax(1) == want.argmax(1)).all()


def test_a_row_that_counts_twice_counts_as_two_rows():
    x, label = rows(60)
    weight = np.ones(60)
    weight[:20] = 2
    twice = sparse.vstack([x, x[:20]], "csr")
    once = fit_linear_svm(x, label, 4, 0.5, weight=weight)
    # The penalty is in units of the mean squared length, which is 1 in both.
    both = fit_linear_svm(twice, np.append(label, label[:20]), 4, 0.5)
    assert np.abs(once.margins(x) - both.margins(x)).max() < 0.05


def test_positive_weight_counts_the_rows_of_each_class_more():
    x, label = rows(60)
    label = np.minimum(label, 1)
    found = fit_linear_svm(x, label, 2, 0.5, positive_weight=3.0)
    for one in (0, 1):
        weight = np.where(label == one, 3.0, 1.0)
        want = fit_linear_svm(x, label, 2, 0.5, weight=weight)
        assert np.abs(found.margins(x)[:, one] - want.margins(x)[:, one]).max() < 1e-3


def test_rows_of_unknown_class_are_left_out():
    x, label = rows(60)
    unknown = np.append(label, [-1] * 20)
    more = sparse.vstack([x, x[:20] * 3], "csr")
    assert np.array_equal(
        fit_linear_svm(more, unknown, 4, 0.5).margins(x), fit_linear_svm(x, label, 4, 0.5).margins(x)
    )


def test_the_same_rows_give_the_same_bits():
    x, label = rows(200, classes=70)
    one, other = (fit_linear_svm(x, label, 70, 0.5) for _ in range(2))
    assert np.array_equal(one.coef, other.coef)
    assert np.array_equal(one.intercept, other.intercept)
    assert np.array_equal(one.coef, one.coef.astype(np.float16).astype(np.float32))


def test_many_classes_keep_their_largest_weights_alone(monkeypatch):
    x, label = rows(300, 60, 20)
    whole = fit_linear_svm(x, label, 20, 0.5)
    monkeypatch.setattr(svm, "_MAX_DENSE", 100)
    monkeypatch.setattr(svm, "_MAX_SPARSE", 20 * 15)
    pruned = fit_linear_svm(x, label, 20, 0.5)
    assert sparse.issparse(pruned.coef)
    assert pruned.coef.shape == (60, 20)
    assert pruned.coef.nnz <= 20 * 16
    kept = pruned.coef.toarray()
    assert np.array_equal(kept[kept != 0], whole.coef[kept != 0])
    least = np.where(kept != 0, np.abs(kept), np.inf).min(0)
    assert (np.abs(whole.coef)[kept == 0] <= np.broadcast_to(least, kept.shape)[kept == 0]).all()
    assert (pruned.margins(x).argmax(1) == label).mean() > 0.8


def test_going_on_from_earlier_weights_keeps_what_new_rows_do_not_contradict():
    x, label = rows(200)
    first = fit_linear_svm(x[:150], label[:150], 4, 0.5)
    same = fit_linear_svm(x[:1], label[:1], 4, 0.5, start=LinearWeights(first.coef, first.intercept))
    assert np.abs(same.margins(x) - first.margins(x)).max() < 0.5
    more = fit_linear_svm(x[150:], label[150:], 4, 0.5, start=first)
    assert (more.margins(x).argmax(1) == label).mean() >= (first.margins(x).argmax(1) == label).mean()


@pytest.mark.parametrize("count", [30, 80])
def test_ridge_regression_is_the_closed_form(count):
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(count, 8)).astype(np.float32)
    label = rng.integers(0, 3, count)
    y, weight = np.eye(3, dtype=np.float32)[label], rng.uniform(0.5, 2, count)
    features = RBFFeatures.fit(vectors, 2.0, 20, 3.0, 0)
    parts = [({"v": vectors[i : i + 7]}, y[i : i + 7], weight[i : i + 7]) for i in range(0, count, 7)]
    found, share = fit_ridge({"v": features}, parts, 3, 0.3)
    x = features(vectors).astype(np.float64)
    mean = (weight[:, None] * y).sum(0) / weight.sum()
    penalty = 0.3 * (weight * (x**2).sum(1)).sum() / weight.sum()
    gram = (x * weight[:, None]).T @ x + penalty * np.eye(x.shape[1])
    solution = np.linalg.solve(gram, (x * weight[:, None]).T @ (y - mean))
    assert np.allclose(found["v"].scores(vectors), x @ solution, atol=2e-3)
    assert np.allclose(share, mean, atol=1e-6)


def test_a_missing_embedding_adds_nothing():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(40, 6)).astype(np.float32)
    features = RBFFeatures.fit(vectors, 2.0, 10, 1.0, 0)
    y = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 40)]
    found, _ = fit_ridge({"v": features}, [({"v": vectors}, y, np.ones(40))], 2, 0.1)
    vectors[3] = 0
    assert not found["v"].scores(vectors)[3].any()
    assert found["v"].scores(vectors)[4].any()


def test_kernel_components_are_centred_and_of_the_length_that_is_asked_for():
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(50, 6)).astype(np.float32)
    found = RBFFeatures.fit(vectors, 2.0, 100, 5.0, 0)(vectors)
    assert np.abs(found.mean(0)).max() < 1e-3
    assert abs(np.sqrt((found**2).sum(1).mean()) - 5.0) < 0.05
