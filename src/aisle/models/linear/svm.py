"""One-vs-rest linear support vector machines over sparse rows, many classes at once.

Squared hinge loss with an L2 penalty, as scikit-learn's `LinearSVC`, solved by a finite Newton method
(Keerthi & DeCoste, JMLR 2005): the rows inside the margin form a least-squares problem, which a few steps of
conjugate gradients solve; then the rows inside the margin are found again. A block of classes shares each
multiplication by the sparse matrix. With many classes, only the largest weights of each are kept, as in
DiSMEC (Babbar & Schölkopf, WSDM 2017).

Shapes: n rows, F features, N classes.
"""

import os
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse

from aisle.progress import Advance

_NEWTON_STEPS = 3  # five are no more accurate (docs/lab-notes.md)
_CG_STEPS = 6  # conjugate gradient steps per Newton step; twice as many in the first
_BLOCK_SIZE = 32  # classes solved together: with more, their weights leave the processor's cache
_MAX_NEGATIVES = 40_000  # rows sampled as negatives, at most
_MAX_PAIRS = 1 << 24  # sampled rows times classes, at most
_MAX_DENSE = 1 << 26  # weights (F x N); beyond it they are pruned and sparse
_MAX_SPARSE = 1 << 25  # weights kept then


class LinearWeights(NamedTuple):
    """Weights of N one-vs-rest classifiers.

    Attributes:
        coef: (F, N), dense or CSR.
        intercept: (N,).
    """

    coef: Any
    intercept: np.ndarray

    def margins(self, x: Any) -> np.ndarray:
        """Decision values (B, N) float32 of sparse rows (B, F)."""
        product = x @ self.coef
        dense = product.toarray() if sparse.issparse(product) else np.asarray(product)
        return dense.astype(np.float32, copy=False) + self.intercept

    def columns(self, classes: np.ndarray) -> np.ndarray:
        """(F, K) dense weights of K classes."""
        coef = self.coef[:, classes]
        return coef.toarray() if sparse.issparse(coef) else np.asarray(coef)


def fit_linear_svm(
    x: Any,
    label: np.ndarray,
    classes: int,
    penalty: float,
    *,
    positive_weight: float = 1.0,
    weight: np.ndarray | None = None,
    start: LinearWeights | None = None,
    advance: Advance | None = None,
    seed: int = 0,
) -> LinearWeights:
    """Fit one classifier for each class against all other rows.

    Args:
        x: (n, F) CSR rows.
        label: (n,) class of each row; rows with -1 (unknown) are left out.
        classes: N.
        penalty: in units of a row's mean squared length; .5 equals C = 1 in `LinearSVC`.
        positive_weight: weight of a row of the class, relative to a row of the others.
        weight: (n,) sample weights.
        start: weights to train further: the penalty then applies to the difference (adaptive SVM, Yang et
            al., ACM MM 2007).
        advance: called with the number of classes done.
        seed: seed of the sample of negatives, where there are more than `_MAX_NEGATIVES` rows.

    Returns:
        Weights rounded to half precision, so that a saved model predicts the same.
    """
    problem = _SVMProblem(x, label, classes, penalty, positive_weight, weight, start, seed)
    blocks = [np.arange(k, min(k + _BLOCK_SIZE, classes)) for k in range(0, classes, _BLOCK_SIZE)]
    parallel: Any = Parallel(n_jobs=usable_cpus(), prefer="threads", return_as="generator")
    coefs: list[Any] = []
    intercept = np.zeros(classes, np.float32)
    for block, (coef, offset) in zip(
        blocks, parallel(delayed(problem.solve)(b) for b in blocks), strict=True
    ):
        coefs.append(coef)
        intercept[block] = offset
        if advance:
            advance(len(block))
    if problem.pruned:
        pruned = sparse.hstack(coefs, format="csc")
        coefs.clear()  # the copy alone is as large as the model
        return LinearWeights(pruned.tocsr(), intercept)
    empty = np.zeros((x.shape[1], 0), np.float32)
    return LinearWeights(np.concatenate([empty, *coefs], 1), intercept)


class _Design(NamedTuple):
    """Rows (n, F') of the features that occur in them, and a constant feature after these.

    Attributes:
        x: (n, F') CSR, without the constant.
        transposed: (F', n) CSR.
        features: F' features, or a slice of all.
        constant: value of the constant feature.
    """

    x: Any
    transposed: Any
    features: Any
    constant: np.float32

    @classmethod
    def of(cls, x: Any, rows: np.ndarray, constant: float) -> "_Design":
        """The design of some rows, sorted; of all rows without a copy."""
        features: Any = slice(None)
        if len(rows) < x.shape[0]:
            x = x[rows]
            features = np.flatnonzero(np.bincount(x.indices, minlength=x.shape[1]))
            x = x[:, features]
        return cls(x, x.T.tocsr(), features, np.float32(constant))

    def margins(self, w: np.ndarray) -> np.ndarray:
        """(n, K) products of the rows and w (F' + 1, K)."""
        out = self.x @ w[:-1]
        out += self.constant * w[-1]
        return out

    def gradient(self, residual: np.ndarray) -> np.ndarray:
        """(F' + 1, K) products of the features and the residual (n, K)."""
        out = np.empty((self.x.shape[1] + 1, residual.shape[1]), np.float32)
        out[:-1], out[-1] = self.transposed @ residual, self.constant * residual.sum(0)
        return out


class _SVMProblem:
    """The rows and hyperparameters that all blocks of classes share; arguments as of `fit_linear_svm`."""

    def __init__(
        self,
        x: Any,
        label: np.ndarray,
        classes: int,
        penalty: float,
        positive_weight: float,
        weight: np.ndarray | None,
        start: LinearWeights | None,
        seed: int,
    ) -> None:
        self.x, self.label, self.start = x, label, start
        self.positive_weight = np.float32(positive_weight)
        self.weight = np.ones(len(label), np.float32) if weight is None else weight.astype(np.float32)
        self.labelled = self.sample = np.flatnonzero(label >= 0)
        size = min(_MAX_NEGATIVES, max(_MAX_PAIRS // max(classes, 1), 1))
        sampled = len(self.labelled) > size
        if sampled:
            self.sample = np.sort(np.random.default_rng(seed).choice(self.labelled, size, replace=False))
        values = x[self.sample].data
        self.row_length = float(np.sqrt(values @ values / max(len(self.sample), 1))) or 1.0
        self.penalty = np.float32(penalty * self.row_length**2)
        self.all_rows = None if sampled else _Design.of(x, self.sample, self.row_length)
        self.pruned = x.shape[1] * classes > _MAX_DENSE
        self.max_features = max(_MAX_SPARSE // max(classes, 1), 1)

    def solve(self, block: np.ndarray) -> tuple[Any, np.ndarray]:
        """Weights (F, K) and intercepts (K,) of a block of K classes."""
        if self.all_rows:
            rows = self.sample
        else:  # every row of these classes, and the sample
            rows = np.union1d(self.sample, self.labelled[np.isin(self.label[self.labelled], block)])
        design = self.all_rows or _Design.of(self.x, rows, self.row_length)
        target = np.where(self.label[rows, None] == block, 1, -1).astype(np.float32)
        offset = np.zeros_like(target)
        if self.start is not None:
            offset += self.x[rows] @ self.start.columns(block) + self.start.intercept[block]
        weight = self.weight[rows, None] * np.where(target > 0, self.positive_weight, np.float32(1))
        solution = _newton(design, target, offset, weight, self.penalty)
        coef = np.zeros((self.x.shape[1], len(block)), np.float32)
        coef[design.features], intercept = solution[:-1], solution[-1] * self.row_length
        if self.start is not None:
            coef, intercept = coef + self.start.columns(block), intercept + self.start.intercept[block]
        return _prune(coef, self.max_features) if self.pruned else _rounded(coef), intercept


def usable_cpus() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _prune(coef: np.ndarray, max_features: int) -> Any:
    """(F, K) CSC: the `max_features` largest weights of each class."""
    if len(coef) > max_features:
        cut = len(coef) - max_features
        threshold = np.partition(np.abs(coef), cut, axis=0)[cut]
        coef = np.where(np.abs(coef) >= np.maximum(threshold, 1e-12), coef, 0.0)
    pruned = sparse.csc_matrix(coef)
    pruned.data = _rounded(pruned.data)
    return pruned


def _rounded(values: np.ndarray) -> np.ndarray:
    """float32 values rounded to half precision."""
    return values.astype(np.float16).astype(np.float32)


def _newton(
    a: _Design, target: np.ndarray, offset: np.ndarray, weight: np.ndarray, penalty: np.float32
) -> np.ndarray:
    """Minimise penalty |w|² + Σ weight max(0, 1 - target (offset + a w))² for each column of w.

    Args:
        a: n rows of F features and a constant.
        target: (n, K), 1 or -1.
        offset: (n, K) margins to add.
        weight: (n, K).
        penalty: of the squared norm.

    Returns:
        (F + 1, K) the solution w.
    """
    w = np.zeros((a.x.shape[1] + 1, target.shape[1]), np.float32)
    inside = weight * (target * offset < 1)  # weight of the rows inside the margin, 0 for the others
    for newton_step in range(_NEWTON_STEPS):
        residual = a.gradient(inside * (target - offset - a.margins(w))) - penalty * w
        direction, norm = residual.copy(), (residual**2).sum(0)
        for _ in range(_CG_STEPS if newton_step else 2 * _CG_STEPS):
            product = a.gradient(inside * a.margins(direction))
            product += penalty * direction
            step = norm / np.maximum((direction * product).sum(0), 1e-30)
            w += direction * step
            product *= step
            residual -= product
            last_norm, norm = norm, np.einsum("fk,fk->k", residual, residual)
            direction *= norm / np.maximum(last_norm, 1e-30)
            direction += residual
        inside = weight * (target * (offset + a.margins(w)) < 1)
    return w
