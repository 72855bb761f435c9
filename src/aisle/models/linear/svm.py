"""One-vs-rest linear support vector machines over sparse rows, many classes at once.

Squared hinge loss with an L2 penalty, as scikit-learn's `LinearSVC`, solved by a finite Newton method
(Keerthi & DeCoste, JMLR 2005): the rows inside the margin form a least-squares problem, which a few steps of
conjugate gradients solve; then the rows inside the margin are found again. A block of classes shares the
products with the sparse matrix. With many classes only the largest weights of each are kept, as in DiSMEC
(Babbar & Schölkopf, WSDM 2017).

Shapes: n rows, F features, N classes.
"""

import os
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse

from aisle.progress import Advance

_ROUNDS = 3  # of finding the rows inside the margin; five are no more accurate (docs/lab-notes.md)
_STEPS = 6  # of conjugate gradients in a round; twice as many in the first
_CLASSES = 32  # solved together: with more the weights leave the processor's cache
_NEGATIVES = 40_000  # rows that stand for all other classes, where there are more
_PAIRS = 1 << 24  # of those rows and classes
_MAX_DENSE = 1 << 26  # weights; beyond it they are pruned and kept sparse
_MAX_SPARSE = 1 << 25  # weights kept then


class LinearWeights(NamedTuple):
    """`coef` (F, N), dense or CSR; `intercept` (N,)."""

    coef: Any
    intercept: np.ndarray

    def margins(self, x: Any) -> np.ndarray:
        """x (B, F) sparse -> (B, N) float32."""
        found = x @ self.coef
        dense = found.toarray() if sparse.issparse(found) else np.asarray(found)
        return dense.astype(np.float32, copy=False) + self.intercept

    def columns(self, classes: np.ndarray) -> np.ndarray:
        """(F, K) dense weights of some classes."""
        part = self.coef[:, classes]
        return part.toarray() if sparse.issparse(part) else np.asarray(part)


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
    """Fit one classifier a class against all other rows.

    Args:
        x: (n, F) CSR rows.
        label: (n,) class of each row, -1 where it is not known; such rows are left out.
        classes: N.
        penalty: in units of a row's mean squared length; .5 equals C = 1 in `LinearSVC`.
        positive_weight: what a row of the class counts, relative to a row of the others.
        weight: (n,) row weights.
        start: weights to go on from: the penalty then holds the difference small (adaptive SVM, Yang et al.,
            ACM MM 2007).
        advance: called with the number of classes done.
        seed: of the rows drawn as negatives where there are more than `_NEGATIVES`.

    Returns:
        Weights rounded to half precision, so that a saved model answers as this one.
    """
    known = np.flatnonzero(label >= 0)
    drawn, size = known, min(_NEGATIVES, max(_PAIRS // max(classes, 1), 1))
    if len(known) > size:
        drawn = np.sort(np.random.default_rng(seed).choice(known, size, replace=False))
    some = x[drawn].data
    length = float(np.sqrt(some @ some / max(len(drawn), 1))) or 1.0
    whole = _compact(x[drawn], length) if len(drawn) == len(known) else None
    counts = np.ones(len(label), np.float32) if weight is None else weight.astype(np.float32)
    pruned = x.shape[1] * classes > _MAX_DENSE
    most = max(_MAX_SPARSE // max(classes, 1), 1)
    scale = np.float32(penalty * length**2)

    def solve(block: np.ndarray) -> tuple[np.ndarray, Any, np.ndarray]:
        seen = drawn if whole else np.union1d(drawn, known[np.isin(label[known], block)])
        rows, across, columns = whole or _compact(x[seen], length)
        target = np.where(label[seen, None] == block, 1, -1).astype(np.float32)
        before = np.zeros_like(target)
        if start is not None:
            before += x[seen] @ start.columns(block) + start.intercept[block]
        counted = counts[seen, None] * np.where(target > 0, np.float32(positive_weight), np.float32(1))
        found = _newton(rows, across, target, before, counted, scale)
        coef = np.zeros((x.shape[1], len(block)), np.float32)
        coef[columns], intercept = found[:-1], found[-1] * length
        if start is not None:
            coef, intercept = coef + start.columns(block), intercept + start.intercept[block]
        coef = coef.astype(np.float16).astype(np.float32)
        return block, _pruned(coef, most) if pruned else coef, intercept

    blocks = [np.arange(k, min(k + _CLASSES, classes)) for k in range(0, classes, _CLASSES)]
    parts: list[Any] = []
    intercept = np.zeros(classes, np.float32)
    work: Any = Parallel(n_jobs=usable_cpus(), prefer="threads", return_as="generator")
    for block, coef, offset in work(delayed(solve)(block) for block in blocks):
        parts.append(coef)
        intercept[block] = offset
        if advance:
            advance(len(block))
    empty = np.zeros((x.shape[1], 0), np.float32)
    coef = sparse.hstack(parts).tocsr() if pruned else np.concatenate([empty, *parts], 1)
    return LinearWeights(coef, intercept)


def usable_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _compact(x: Any, length: float) -> tuple[Any, Any, np.ndarray]:
    """Rows (n, F) of the features that occur in them and a constant, the same transposed, those features."""
    columns = np.flatnonzero(np.bincount(x.indices, minlength=x.shape[1]))
    constant = np.full((x.shape[0], 1), length)
    rows = sparse.hstack([x[:, columns], constant], format="csr", dtype=np.float32)
    return rows, rows.T.tocsr(), columns


def _pruned(coef: np.ndarray, most: int) -> Any:
    """(F, K) sparse: the `most` largest weights of each class."""
    if len(coef) > most:
        least = np.partition(np.abs(coef), len(coef) - most, axis=0)[len(coef) - most]
        coef = np.where(np.abs(coef) >= np.maximum(least, 1e-12), coef, 0.0)
    return sparse.csc_matrix(coef)


def _newton(
    rows: Any, across: Any, target: np.ndarray, before: np.ndarray, weight: np.ndarray, penalty: np.float32
) -> np.ndarray:
    """Minimise penalty |w|² + Σ weight max(0, 1 - target (before + x w))², column by column.

    rows (n, F) and `across` (F, n), both CSR; target, before (n, K) -> (F, K).
    """
    found = np.zeros((rows.shape[1], target.shape[1]), np.float32)
    inside = weight * (target * before < 1)
    for turn in range(_ROUNDS):
        residual = across @ (inside * (target - before - rows @ found)) - penalty * found
        direction, norm = residual.copy(), (residual**2).sum(0)
        for _ in range(_STEPS if turn else 2 * _STEPS):
            turned = across @ (inside * (rows @ direction))
            turned += penalty * direction
            step = norm / np.maximum((direction * turned).sum(0), 1e-30)
            found += direction * step
            turned *= step
            residual -= turned
            last, norm = norm, np.einsum("fk,fk->k", residual, residual)
            direction *= norm / np.maximum(last, 1e-30)
            direction += residual
        inside = weight * (target * (before + rows @ found) < 1)
    return found
