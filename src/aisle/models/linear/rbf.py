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
_MIN_VARIANCE = 1e-5  # of the largest: components below it are rounding errors
_MIN_DISTANCE = 1e-5  # squared, of unit rows: below it they are equal
_GAMMA_SAMPLE = 1000  # rows that the width of the kernel is estimated from


class RBFFeatures(NamedTuple):
    """Kernel PCA of one view.

    Attributes:
        landmarks: (m, D) unit vectors.
        gamma: of the kernel exp(-gamma |a - b|² / 2).
        map: (m, r) from kernel values to components.
        offset: (r,) subtracted to centre the components.
    """

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
        """Choose landmarks and fit the components.

        Args:
            rows: (n, D) embeddings of the products that have the view, none of them zero.
            sharpness: gamma in units of the inverse median squared distance.
            n_components: r at most.
            scale: root mean square length of the components over the landmarks.
            seed: seed of the sample of landmarks.
            gamma: of an earlier kernel to train further, in place of `sharpness`.
        """
        rows = unit_rows(rows)
        rng = np.random.default_rng(seed)
        sample = rows[rng.permutation(len(rows))[:_GAMMA_SAMPLE]]
        median_distance = float(np.median(2 - 2 * sample @ sample.T))
        if median_distance < _MIN_DISTANCE:  # a single row, or equal ones
            median_distance = 1.0
        if len(rows) > LANDMARKS:
            rows = rows[np.sort(rng.choice(len(rows), LANDMARKS, replace=False))]
        landmarks = rows.astype(np.float16).astype(np.float32)  # as saved
        gamma = sharpness / median_distance if gamma is None else gamma
        gram = _kernel(landmarks, landmarks, gamma)
        mean = gram.mean(0)
        centred = gram - mean - mean[:, None] + mean.mean()
        first = max(len(gram) - n_components, 0)
        variance, vectors = linalg.eigh(centred, subset_by_index=[first, len(gram) - 1], driver="evr")
        kept = variance > max(_MIN_VARIANCE * variance[-1], 1e-9)
        variance, vectors = variance[kept][::-1], vectors[:, kept][:, ::-1]
        length = float(np.sqrt(variance.sum() / len(gram))) or 1.0
        components = (vectors / np.sqrt(variance) * (scale / length)).astype(np.float32)
        return cls(landmarks, gamma, components, mean @ components)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Components (B, r) of embeddings (B, D); zeros for rows of zeros."""
        present = np.abs(rows).sum(1) > 0
        components = _kernel(unit_rows(rows), self.landmarks, self.gamma) @ self.map - self.offset
        return (components * present[:, None]).astype(np.float32)


class RBFWeights(NamedTuple):
    """Weights of the ridge regression for one view.

    Attributes:
        landmarks: (m, D) unit vectors.
        gamma: of the kernel.
        coef: (m, N).
        intercept: (N,).
    """

    landmarks: np.ndarray
    gamma: float
    coef: np.ndarray
    intercept: np.ndarray

    def add(self, other: "RBFWeights") -> "RBFWeights":
        """The sum of two models over the landmarks of both.

        Raises:
            ValueError: the kernels differ.
        """
        if self.gamma != other.gamma:
            raise ValueError(f"kernels of gamma {self.gamma} and {other.gamma} do not add up")
        landmarks = np.concatenate([self.landmarks, other.landmarks])
        coef = np.concatenate([self.coef, other.coef])
        return RBFWeights(landmarks, self.gamma, coef, self.intercept + other.intercept)

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Scores (B, N) float32 of embeddings (B, D); zeros for rows of zeros (the view is missing).

        Computed in double precision, because rounding depends on the size of the batch, and a prediction must
        not.
        """
        out = np.zeros((len(rows), self.coef.shape[1]), np.float32)
        present = np.flatnonzero(np.abs(rows).sum(1) > 0)
        if len(present):
            unit = unit_rows(rows[present]).astype(np.float64)
            kernel = np.exp(np.minimum(unit @ self.landmarks.T.astype(np.float64) - 1, 0) * self.gamma)
            out[present] = kernel @ self.coef.astype(np.float64) + self.intercept
        return out


def fit_ridge(
    features: Mapping[str, RBFFeatures],
    batches: Iterable[tuple[Mapping[str, np.ndarray], Any, np.ndarray]],
    classes: int,
    penalty: float,
) -> tuple[dict[str, RBFWeights], np.ndarray]:
    """Fit one ridge regression to the components of all views (normal equations).

    Args:
        features: kernel PCA by view.
        batches: embeddings by view (b, D), targets (b, N), dense or sparse, and sample weights (b,).
        classes: N.
        penalty: in units of a row's mean squared length.

    Returns:
        Weights by view, and the intercept of the sum: the classes' weighted shares (N,).
    """
    width = sum(view.map.shape[1] for view in features.values())
    gram, cross = np.zeros((width, width), np.float32), np.zeros((width, classes), np.float32)
    sum_x, sum_y, total, length = np.zeros(width), np.zeros(classes), 0.0, 0.0
    for views, y, weight in batches:
        x = np.concatenate([components(views[name]) for name, components in features.items()], 1)
        weighted = x * weight[:, None].astype(np.float32)
        gram += weighted.T @ x
        cross += (y.T @ weighted).T
        sum_x, sum_y, total = sum_x + weighted.sum(0), sum_y + y.T @ weight, total + float(weight.sum())
        length += float((weighted * x).sum())
    mean = sum_y / max(total, 1e-9)
    gram[np.diag_indices_from(gram)] += penalty * max(length / max(total, 1e-9), 1e-9)
    cross -= np.outer(sum_x, mean).astype(np.float32)
    solution = linalg.solve(gram, cross, assume_a="pos", overwrite_a=True)
    weights, start = {}, 0
    for name, view in features.items():
        coef = solution[start : start + view.map.shape[1]]
        start += view.map.shape[1]
        weights[name] = RBFWeights(view.landmarks, view.gamma, view.map @ coef, -(view.offset @ coef))
    return weights, mean.astype(np.float32)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """(B, D) float32 rows scaled to length 1; zeros stay zeros."""
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _kernel(a: np.ndarray, b: np.ndarray, gamma: float) -> np.ndarray:
    # The product of unit rows may be rounded to more than 1.
    return np.exp(np.minimum(a @ b.T - 1, 0) * np.float32(gamma))
