"""Baselines: linear models over all the inputs of the shipped recipes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from aisle.data import Catalog
from aisle.evaluation.baseline import MAX_WEIGHTS, fit_linear_svms, text_of, tfidf
from aisle.models.features import FeatureStore
from aisle.progress import Progress
from aisle.training.linear import new_reader
from aisle.training.recipe import load_recipe


class LinearStack:
    """One linear SVM on TF-IDF beside frozen encoders' vectors, each of length 1; C = 1.

    The TF-IDF and C of `LinearBaseline` (C = .3 and .1 are worse, docs/lab-notes.md). views: which frozen
    views of the recipe; the very vectors that the recipe itself learns from, from the same store.
    """

    def __init__(self, recipe: str, changes: Sequence[str], views: Sequence[str], progress: Progress) -> None:
        whole: Any = load_recipe(recipe, changes)
        self.recipe = whole.without(set(whole.views) - set(views))
        self.views, self.progress = list(views), progress

    def _columns(self, catalog: Catalog, words: Any) -> Any:
        blocks = [words]
        for name in self.views:
            values = self.reader.views[name].values(catalog)
            vectors, _, _ = self.reader.encoders[name](values, self.reader.store, name, self.progress)
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            blocks.append(sparse.csr_matrix(vectors / np.maximum(length, 1e-9)))
        return sparse.hstack(blocks, format="csr")

    def fit(self, catalog: Catalog) -> None:
        """Learn from every product whose exact place is known."""
        self.reader = new_reader(catalog, self.recipe, FeatureStore(), self.progress)
        targets = catalog.targets()
        rows = catalog.select(np.flatnonzero((targets.node >= 0) & targets.exact))
        self.classes, label = np.unique(rows.targets().node, return_inverse=True)
        self.features = tfidf(len(rows), MAX_WEIGHTS // len(self.classes))
        x = self._columns(rows, self.features.fit_transform([text_of(p) for p in rows]))
        with self.progress("fitting the linear stack", len(self.classes), "categories") as advance:
            self.weights = fit_linear_svms(x, label, len(self.classes), advance)
        self.taxonomy = catalog.taxonomy

    def best(self, catalog: Catalog) -> list[tuple[str, ...]]:
        """The most probable path of each product."""
        x = self._columns(catalog, self.features.transform([text_of(p) for p in catalog]))
        margins = x @ self.weights[:, :-1].T + self.weights[:, -1]
        return [self.taxonomy.nodes[self.classes[n]].path for n in np.asarray(margins).argmax(1)]
