"""Classifies products among the parts of split categories, by the names of the parts and a few examples.

For each split category a multinomial logistic regression over its parts. Its weights start at the parts'
names, as if each name were a product, and labelled examples move them (maximum a posteriori).

Shapes: B products, S split categories, E edges from an old to a new terminal, D features, C parts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from aisle.data import Product

HASHED = 4096  # features of texts, of a model that has no embeddings of its own
_NAME_SCALE = 12.0  # weight of a name: factor from cosine to logit
_PENALTY = 0.02  # of the squared distance from the names' weights
_LEAST = -7.0  # log-probability of a split category below which its parts share alike


@dataclass(frozen=True)
class SplitHead:
    """A linear model of the parts of split categories.

    Attributes:
        views: names of the views whose embeddings are the features, in order; empty: hashed text.
        coef: (D, E') weights of the edges of split categories.
        intercept: (E',).
        source: (E',) old terminal of each.
        edge: (E',) position among all edges.
    """

    views: tuple[str, ...]
    coef: np.ndarray
    intercept: np.ndarray
    source: np.ndarray
    edge: np.ndarray

    def log_shares(
        self, logp: np.ndarray, source: np.ndarray, features: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """(B, E) log share of each edge in its old terminal; 0 for terminals that are not split.

        Args:
            logp: (B, K) log-probabilities over the old tree.
            source: (E,) old terminal of each edge.
            features: returns the features (b, D) of some rows.
        """
        out = np.zeros((len(logp), len(source)))
        parts = np.bincount(self.source, minlength=logp.shape[1])
        out[:, self.edge] = -np.log(parts[self.source])
        terminals = np.unique(self.source)
        rows = np.flatnonzero(logp[:, terminals].max(1, initial=-np.inf) > _LEAST)
        if len(rows):
            logits = features(rows) @ self.coef + self.intercept
            for terminal in terminals:
                columns = np.flatnonzero(self.source == terminal)
                out[np.ix_(rows, self.edge[columns])] = log_softmax(logits[:, columns], 1)
        return out

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return {"views": list(self.views)}

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that are saved in addition to `to_dict`."""
        names = ("coef", "intercept", "source", "edge")
        return {f"head.{name}": getattr(self, name) for name in names}

    @classmethod
    def read(cls, data: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "SplitHead":
        """Read what `to_dict` and `arrays` wrote."""
        names = ("coef", "intercept", "source", "edge")
        return cls(tuple(data["views"]), *(arrays[f"head.{name}"] for name in names))


def fit_parts(names: np.ndarray, examples: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit the weights of one split category by L-BFGS; a penalty keeps them near the names.

    Args:
        names: (C, D) features of the parts' names.
        examples: (n, D) features of labelled products.
        part: (n,) the part of each.

    Returns:
        Weights (D, C) and intercepts (C,).
    """
    prior = (_NAME_SCALE * names).T.astype(np.float64)
    if not len(examples):
        return prior.astype(np.float32), np.zeros(len(names), np.float32)
    x, y = examples.astype(np.float64), np.eye(len(names))[part]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        coef, intercept = flat[: prior.size].reshape(prior.shape), flat[prior.size :]
        logp = log_softmax(x @ coef + intercept, 1)
        error = np.exp(logp) - y
        away = coef - prior
        value = -float((y * logp).sum()) + _PENALTY / 2 * float((away**2).sum())
        value += 0.5 * float((intercept**2).sum())
        gradient = np.concatenate([(x.T @ error + _PENALTY * away).ravel(), error.sum(0) + intercept])
        return value, gradient

    start = np.concatenate([prior.ravel(), np.zeros(len(names))])
    solution = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 60}).x
    coef, intercept = solution[: prior.size].reshape(prior.shape), solution[prior.size :]
    return coef.astype(np.float32), intercept.astype(np.float32)


def joined(spaces: Mapping[str, np.ndarray], views: tuple[str, ...]) -> np.ndarray:
    """(B, D) unit embeddings of the views, side by side; zeros where a view is missing."""
    parts = [
        spaces[name] / np.linalg.norm(spaces[name], axis=1, keepdims=True).clip(min=1e-9) for name in views
    ]
    return np.concatenate(parts, 1).astype(np.float32)


def hashed_texts(products: list[Product]) -> np.ndarray:
    """(B, HASHED) unit vectors of the words and character n-grams of all texts of products."""
    from sklearn.feature_extraction.text import HashingVectorizer

    texts = [" ".join(product.fields.values()) for product in products]
    words = HashingVectorizer(n_features=HASHED // 2, norm="l2", alternate_sign=False)
    letters = HashingVectorizer(n_features=HASHED // 2, norm="l2", analyzer="char_wb", ngram_range=(3, 5))
    parts: list[Any] = [words.transform(texts), letters.transform(texts)]
    return np.concatenate([part.toarray() for part in parts], 1).astype(np.float32)
