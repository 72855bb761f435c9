"""Extracts the features of a linear model from products: sparse TF-IDF rows and dense embeddings.

Shapes: B products, V views, F features of a TF-IDF view, D the width of an embedding.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from aisle.data import Product
from aisle.models.features import FeatureStore
from aisle.models.linear.encoders import FrozenEncoder
from aisle.models.preprocessing import Preprocessor, TfidfPreprocessor
from aisle.models.views import View
from aisle.progress import SILENT, Progress


class LinearInputs(NamedTuple):
    """Features of B products.

    Attributes:
        tfidf: `ids`, `weights` and `offsets` by TF-IDF view.
        dense: (B, D) by other view, zeros where the view is missing.
        present: (B, V) bool.
        problems: messages by row.
    """

    tfidf: dict[str, dict[str, np.ndarray]]
    dense: dict[str, np.ndarray]
    present: np.ndarray
    problems: dict[int, list[str]]


class LinearReader:
    """Extracts the features of every view.

    Args:
        views: what each view reads of a product.
        preprocessors: a fitted one for each view.
        encoders: frozen encoders, by view, of the views that have one.
        store: cache of encoders' outputs; without one they are computed each time.
    """

    def __init__(
        self,
        views: Mapping[str, View],
        preprocessors: Mapping[str, Preprocessor],
        encoders: Mapping[str, FrozenEncoder],
        store: FeatureStore | None = None,
    ) -> None:
        self.views, self.preprocessors, self.encoders, self.store = views, preprocessors, encoders, store

    @property
    def tfidf(self) -> dict[str, TfidfPreprocessor]:
        """The TF-IDF views' preprocessors."""
        return {name: p for name, p in self.preprocessors.items() if isinstance(p, TfidfPreprocessor)}

    @property
    def slow_views(self) -> list[View]:
        """The views that take longer than TF-IDF."""
        return [view for name, view in self.views.items() if name not in self.tfidf]

    def with_store(self, store: FeatureStore | None) -> "LinearReader":
        """A copy that caches encoders' outputs in `store`."""
        return LinearReader(self.views, self.preprocessors, self.encoders, store)

    def __call__(
        self, products: Sequence[Product], without: Collection[str] = (), progress: Progress = SILENT
    ) -> LinearInputs:
        """Compute the features of B products.

        Args:
            products: B products.
            without: names of views that count as missing.
            progress: shows how many values are encoded.
        """
        tfidf: dict[str, dict[str, np.ndarray]] = {}
        dense: dict[str, np.ndarray] = {}
        present = np.zeros((len(products), len(self.views)), bool)
        problems: dict[int, list[str]] = {}
        for column, (name, view) in enumerate(self.views.items()):
            values = [None] * len(products) if name in without else view.values(products)
            if name in self.encoders:
                dense[name], is_present, messages = self.encoders[name](
                    values, self.store, f"encoding {name}", progress
                )
            else:
                prepared = self.preprocessors[name](values)
                is_present, messages = prepared.present, prepared.problems
                if name in self.tfidf:
                    tfidf[name] = prepared.arrays
                    is_present = is_present & (tfidf_counts(prepared.arrays) > 0)
                else:
                    dense[name] = prepared.arrays["vector"]
            present[:, column] = is_present
            for row, message in messages.items():
                problems.setdefault(row, []).append(message)
        return LinearInputs(tfidf, dense, present, problems)


def tfidf_counts(arrays: Mapping[str, Any]) -> np.ndarray:
    """(B,) number of known features of each row of a TF-IDF view; 0 for text of unknown words."""
    return np.diff(np.append(arrays["offsets"], len(arrays["ids"])))


def tfidf_rows(arrays: Mapping[str, Any], features: int) -> sparse.csr_matrix:
    """(B, F) CSR of a TF-IDF view's arrays."""
    ends = np.append(arrays["offsets"], len(arrays["ids"]))
    return sparse.csr_matrix((arrays["weights"], arrays["ids"], ends), shape=(len(ends) - 1, features))


def concat_tfidf(
    tfidf: Mapping[str, Mapping[str, Any]], sizes: Mapping[str, int], scales: Mapping[str, float]
) -> Any:
    """(B, sum of F) CSR: the TF-IDF views concatenated, each times its scale."""
    parts = [tfidf_rows(tfidf[name], size) * np.float32(scales[name]) for name, size in sizes.items()]
    return sparse.hstack(parts, format="csr", dtype=np.float32)
