"""Linear support vector machines over all features of sparse rows, one a class, all at once.

The squared hinge by a finite Newton method (Keerthi & DeCoste, JMLR 2005): rows inside the margin make a
least-squares problem, solved by a few steps of conjugate gradients; then it is asked anew which rows those
are. Only products with the sparse matrix are needed, so nothing is cut to a number of axes.
"""

from typing import Any

import numpy as np
from scipy import sparse

from aisle.inference.prefetch import ahead, cores
from aisle.progress import Advance

_ROUNDS = 3  # of asking which rows lie inside the margin: five are no more right (docs/lab-notes.md)
_STEPS = 6  # of conjugate gradients in a round; twice as many in the first
_CLASSES = 32  # at once, in one thread: of more the weights do not stay near the processor
_OTHERS = 40_000  # rows that stand for all other classes, where there are more
_PAIRS = 1 << 26  # of those rows and a class, however many classes there are


def squared_hinge(
    x: Any,
    place: np.ndarray,
    classes: int,
    penalty: float,
    weight: np.ndarray | None = None,
    out: np.ndarray | None = None,
    advance: Advance | None = None,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (F, N) and offsets (N,) of N classes against the rest.

    x (n, F) sparse, by rows; place (n,) the class of each row, -1 where it is not known. penalty: in shares
    of a row's mean squared length. weight (n,): what each row counts. out: where the weights go. advance:
    told how many classes are done. Of very many rows a class sees its own, and some of the others, drawn by
    chance: what it costs then grows with the classes, not with rows times classes.
    """
    known = np.flatnonzero(place >= 0)
    length = float(np.sqrt(x[known].multiply(x[known]).sum() / max(len(known), 1))) or 1.0
    counts = np.ones(len(place), np.float32) if weight is None else weight.astype(np.float32)
    rows: Any = sparse.hstack([x, np.full((len(place), 1), length)]).tocsr().astype(np.float32)
    others = min(_OTHERS, _PAIRS // classes)
    some = known
    if len(known) > others:
        some = np.sort(np.random.default_rng(seed).choice(known, others, replace=False))
    whole = (rows[some], rows[some].T.tocsr()) if len(some) == len(known) else None

    def learn(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = np.union1d(some, known[(place[known] >= block[0]) & (place[known] <= block[-1])])
        mine, columns = whole or (rows[seen], rows[seen].T.tocsr())
        target = np.where(place[seen, None] == block, 1, -1).astype(np.float32)
        return block, _newton(mine, columns, target, counts[seen, None], np.float32(penalty * length**2))

    weights = np.empty((x.shape[1], classes), np.float32) if out is None else out
    offsets = np.zeros(classes, np.float32)
    blocks = [np.arange(k, min(k + _CLASSES, classes)) for k in range(0, classes, _CLASSES)]
    for block, found in ahead(learn, blocks, cores() if len(blocks) > 1 else 0):
        weights[:, block[0] : block[-1] + 1] = found[:-1]
        offsets[block] = found[-1] * length
        if advance:
            advance(len(block))
    return weights, offsets


def _newton(
    rows: Any,
    columns: Any,
    target: np.ndarray,
    weight: np.ndarray,
    penalty: np.float32,
) -> np.ndarray:
    """rows (n, F), the same by columns (F, n), both sparse, target (n, B) -> (F, B): column by column what
    minimises penalty |w|² + Σ weight max(0, 1 - target x w)²."""
    found = np.zeros((rows.shape[1], target.shape[1]), np.float32)
    inside = np.broadcast_to(weight, target.shape)
    for turn in range(_ROUNDS):
        residual = columns @ (inside * (target - rows @ found)) - penalty * found
        direction, norm = residual.copy(), (residual**2).sum(0)
        for _ in range(_STEPS if turn else 2 * _STEPS):
            turned = columns @ (inside * (rows @ direction))
            turned += penalty * direction
            step = norm / np.maximum((direction * turned).sum(0), 1e-30)
            found += direction * step
            turned *= step
            residual -= turned
            before, norm = norm, np.einsum("fb,fb->b", residual, residual)
            direction *= norm / np.maximum(before, 1e-30)
            direction += residual
        inside = weight * (target * (rows @ found) < 1)
    return found
