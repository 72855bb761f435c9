"""Linear models of the categories in one embedding space, as evidence of products that belong nowhere.

A classifier that need not choose: one-vs-rest ridge regression of the top categories, whose highest output is
low for a product of none of them; and the relative Mahalanobis distance to the nearest category (Ren et al.,
arXiv 2106.09022). Both are fitted on the stored training products whenever an index is loaded.
"""

from typing import NamedTuple

import numpy as np

from aisle.taxonomy import Taxonomy

_RIDGE = 1 / 300  # the penalty, per product
_BIAS = 0.3  # the constant input of the ridge regression, so small that the penalty limits it too
_PRIOR = 3.0  # products at the mean of all that a category's mean is shrunk by
_SHRINKAGE = 0.5  # of a covariance matrix towards a multiple of the identity


class Discriminant(NamedTuple):
    """Fitted linear models of T top categories and of the C categories that have products.

    Attributes:
        weights: (D + 1, T) of the ridge regression; the last row is of the constant input.
        quadratic: (D, D) of the relative Mahalanobis distance.
        shared: (D,) its linear part that is the same for all categories.
        linear: (D, C) its linear part by category.
        constant: (C,) its constant part by category.
    """

    weights: np.ndarray
    quadratic: np.ndarray
    shared: np.ndarray
    linear: np.ndarray
    constant: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray, node: np.ndarray, taxonomy: Taxonomy) -> "Discriminant | None":
        """Fit to training products.

        Args:
            vectors: (n, D) float32 unit vectors.
            node: (n,) node of each; -1: not in the tree, not used.
            taxonomy: The tree.

        Returns:
            None for fewer than two products in the tree.
        """
        known = np.flatnonzero(node >= 0)
        if len(known) < 2:
            return None
        x, node = vectors[known], node[known]
        tops = taxonomy.level(1)
        column = np.zeros(len(taxonomy), dtype=np.int64)
        column[tops] = np.arange(len(tops))
        top = column[taxonomy.ancestors[node, 0]]
        sizes = np.bincount(top, minlength=len(tops))
        weight = np.where(sizes > 0, 1 / np.sqrt(np.maximum(sizes, 1)), 0.0)  # rare categories count more
        weight /= (weight * sizes).sum() / len(x)
        square = np.zeros((x.shape[1], x.shape[1]))
        gram = np.zeros((x.shape[1] + 1, x.shape[1] + 1))
        moments = np.zeros((x.shape[1] + 1, len(tops)))
        for branch in np.flatnonzero(sizes):
            own = x[top == branch]
            product = (own.T @ own).astype(np.float64)
            total = np.append(own.sum(0, dtype=np.float64), _BIAS * len(own))
            square += product
            gram[:-1, :-1] += weight[branch] * product
            gram[-1] += weight[branch] * _BIAS * total
            moments[:, branch] = weight[branch] * total
        gram[:-1, -1] = gram[-1, :-1]
        weights = np.linalg.solve(gram + len(x) * _RIDGE * np.eye(len(gram)), moments)
        parts = (weights, *_relative_distance(x, node, square))
        return cls(*parts)

    def branch_scores(self, unit: np.ndarray) -> np.ndarray:
        """(B, T) outputs of the ridge regression for unit vectors (B, D): about 1 in the category, else 0."""
        return stable_matmul(unit, self.weights[:-1]) + (_BIAS * self.weights[-1]).astype(np.float32)

    def distance(self, unit: np.ndarray) -> np.ndarray:
        """(B,) relative Mahalanobis distance of unit vectors (B, D) to the nearest category.

        The squared distance to its mean, by the covariance within categories, less the squared distance to
        the mean of all products, by their covariance.
        """
        unit = unit.astype(np.float64)
        nearest = (self.constant - 2 * unit @ self.linear).min(1)
        squared = ((unit @ self.quadratic) * unit).sum(1)
        return (squared + unit @ self.shared + nearest).astype(np.float32)


def stable_matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a @ b` (B, C) float32 of (B, D) and float64 (D, C), the same whatever the number of rows.

    BLAS adds in an order that depends on the shapes. In double precision the difference is lost when the
    result is rounded.
    """
    return (a.astype(np.float64) @ b).astype(np.float32)


def _relative_distance(x: np.ndarray, node: np.ndarray, square: np.ndarray) -> tuple[np.ndarray, ...]:
    """The parts of `Discriminant.distance`, up to a constant.

    Args:
        x: (n, D) vectors.
        node: (n,) the category of each.
        square: (D, D) x.T @ x.
    """
    _, code, sizes = np.unique(node, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), x.shape[1]))
    np.add.at(sums, code, x)
    centre = sums.sum(0) / len(x)
    means = (sums + _PRIOR * centre) / (sizes[:, None] + _PRIOR)
    cross = sums.T @ means
    within = square - cross - cross.T + (means * sizes[:, None]).T @ means
    precision = _inverse(within / len(x))
    overall = _inverse(square / len(x) - np.outer(centre, centre))
    linear = precision @ means.T
    return precision - overall, 2 * overall @ centre, linear, (means.T * linear).sum(0)


def _inverse(covariance: np.ndarray) -> np.ndarray:
    """Inverse of a covariance matrix (D, D), shrunk towards a multiple of the identity."""
    size = len(covariance)
    scale = max(float(np.trace(covariance)) / size, 1e-9)
    return np.linalg.inv((1 - _SHRINKAGE) * covariance + _SHRINKAGE * scale * np.eye(size))
