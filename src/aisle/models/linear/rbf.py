"""Ridge regression on RBF kernels of frozen embeddings, in closed form.

Each view's unit vectors are compared with at most `LANDMARKS` training rows (a Nyström approximation,
Williams & Seeger, NIPS 2000) and turned onto their principal components (kernel PCA). Regularised least
squares on one-hot targets (Rifkin & Klautau, JMLR 2004) over all views' components is then one linear solve.

Shapes: n rows, D the width of an embedding, m landmarks, r components, N classes.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg

LANDMARKS = 2048
_TINY = 1e-5  # of the largest variance: components below it are rounding
_ROUNDING = 1e-5  # squared distance of unit rows below which they are equal
_SPREAD = 1000  # rows by which the width of the kernel is found


class RBFFeatures(NamedTuple):
    """Centred kernel components of one view. landmarks (m, D) unit vectors; map (m, r); offset (r,)."""

    landmarks: np.ndarray
    gamma: float
    map: np.ndarray
    offset: np.ndarray

    @classmethod
    def fit(
        cls,
        rows: np.ndarray,
        sharpness: float,
        n_components: int,
        scale: float,
        seed: int,
        gamma: float | None = None,
    ) -> "RBFFeatures":
        """Find landmarks and components from rows (n, D), none of them zero.

        Args:
            rows: embeddings of the products that have the view.
            sharpness: gamma in units of the inverse median squared distance.
            n_components: r at most.
            scale: root mean square length of the components over the landmarks.
            seed: of the draw of landmarks.
            gamma: of an earlier kernel that is gone on from, in place of `sharpness`.
        """
        rows = unit_rows(rows)
        rng = np.random.default_rng(seed)
        some = rows[rng.permutation(len(rows))[:_SPREAD]]
        spread = float(np.median(2 - 2 * some @ some.T))
        if spread < _ROUNDING:  # a single row, or equal ones
            spread = 1.0
        if len(rows) > LANDMARKS:
            rows = rows[np.sort(rng.choice(len(rows), LANDMARKS, replace=False))]
        landmarks = _halved(rows)
        gamma = sharpness / spread if gamma is None else gamma
        gram = _kernel(landmarks, landmarks, gamma)
        column = gram.mean(0)
        centred = gram - column - column[:, None] + column.mean()
        first = max(len(gram) - n_components, 0)
        variance, vectors = linalg.eigh(centred, subset_by_index=[first, len(gram) - 1], driver="evr")
        real = variance > max(_TINY * variance[-1], 1e-9)
        variance, vectors = variance[real][::-1], vectors[:, real][:, ::-1]
        size = float(np.sqrt(variance.sum() / len(gram))) or 1.0
        turn = (vectors / np.sqrt(variance) * (scale / size)).astype(np.float32)  # each column sums to 0
        return cls(landmarks, gamma, turn, column @ turn)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(B, D) -> (B, r); zeros for rows of zeros."""
        here = np.abs(rows).sum(1) > 0
        found = _kernel(unit_rows(rows), self.landmarks, self.gamma) @ self.map - self.offset
        return (found * here[:, None]).astype(np.float32)


class RBFWeights(NamedTuple):
    """What ridge regression found for one view: landmarks (m, D), coef (m, N), intercept (N,)."""

    landmarks: np.ndarray
    gamma: float
    coef: np.ndarray
    intercept: np.ndarray

    def joined(self, other: "RBFWeights") -> "RBFWeights":
        """The sum of two: each keeps its landmarks, and the kernels must be equally wide.

        Raises:
            ValueError: the kernels differ.
        """
        if self.gamma != other.gamma:
            raise ValueError(f"kernels of gamma {self.gamma} and {other.gamma} do not add up")
        landmarks = np.concatenate([self.landmarks, other.landmarks])
        coef = np.concatenate([self.coef, other.coef])
        return RBFWeights(landmarks, self.gamma, coef, self.intercept + other.intercept)

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """(B, D) -> (B, N); zeros for rows of zeros, so that a missing view adds nothing.

        In double precision: products of matrices round differently for other numbers of rows, and an answer
        must not depend on what else is asked.
        """
        out = np.zeros((len(rows), self.coef.shape[1]), np.float32)
        here = np.flatnonzero(np.abs(rows).sum(1) > 0)
        if len(here):
            unit = unit_rows(rows[here]).astype(np.float64)
            near = np.exp(np.minimum(unit @ self.landmarks.T.astype(np.float64) - 1, 0) * self.gamma)
            out[here] = near @ self.coef.astype(np.float64) + self.intercept
        return out


def fit_ridge(
    features: Mapping[str, RBFFeatures],
    batches: Iterable[tuple[Mapping[str, np.ndarray], Any, np.ndarray]],
    classes: int,
    penalty: float,
) -> tuple[dict[str, RBFWeights], np.ndarray]:
    """Solve the normal equations over all views' components.

    Args:
        features: by view.
        batches: embeddings by view (b, D), targets (b, N), dense or sparse, and row weights (b,).
        classes: N.
        penalty: in units of a row's mean squared length.

    Returns:
        Weights by view, and the classes' weighted shares (N,), which belong to the sum once.
    """
    width = sum(one.map.shape[1] for one in features.values())
    gram, cross = np.zeros((width, width), np.float32), np.zeros((width, classes), np.float32)
    sum_x, sum_y, total, length = np.zeros(width), np.zeros(classes), 0.0, 0.0
    for views, y, weight in batches:
        x = np.concatenate([one(views[name]) for name, one in features.items()], 1)
        weighted = x * weight[:, None].astype(np.float32)
        gram += weighted.T @ x
        cross += (y.T @ weighted).T
        sum_x, sum_y, total = sum_x + weighted.sum(0), sum_y + y.T @ weight, total + float(weight.sum())
        length += float((weighted * x).sum())
    mean = sum_y / max(total, 1e-9)
    gram[np.diag_indices_from(gram)] += penalty * max(length / max(total, 1e-9), 1e-9)
    cross -= np.outer(sum_x, mean).astype(np.float32)
    solution = linalg.solve(gram, cross, assume_a="pos", overwrite_a=True)
    found, start = {}, 0
    for name, one in features.items():
        part = solution[start : start + one.map.shape[1]]
        start += one.map.shape[1]
        found[name] = RBFWeights(one.landmarks, one.gamma, one.map @ part, -(one.offset @ part))
    return found, mean.astype(np.float32)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """The same, each row of length 1; zeros stay."""
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _kernel(a: np.ndarray, b: np.ndarray, gamma: float) -> np.ndarray:
    # Rounding may put a product of unit rows above 1.
    return np.exp(np.minimum(a @ b.T - 1, 0) * np.float32(gamma))


def _halved(array: np.ndarray) -> np.ndarray:
    """Rounded to half precision, as it is saved."""
    return array.astype(np.float16).astype(np.float32)
