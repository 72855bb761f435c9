"""Training of a linear model: the SVM over TF-IDF views, ridge regression over all other views."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from aisle.data import Product
from aisle.models.linear.config import LinearSpec
from aisle.models.linear.model import LinearModel, fit_basis
from aisle.models.linear.rbf import RBFFeatures, RBFWeights, fit_ridge
from aisle.models.linear.reader import LinearReader, concat_tfidf
from aisle.models.linear.svm import fit_linear_svm
from aisle.progress import Advance, Progress
from aisle.taxonomy import Targets, Taxonomy

_BATCH_SIZE = 4096  # rows per batch of features, and of the ridge regression
_BASIS_SAMPLE = 4096  # rows that the basis of the embedding is fitted to
_LOGITS_BATCH = 512  # of these, rows scored at once


class TrainingInputs(NamedTuple):
    """Features of n products.

    Attributes:
        sizes: number of features of each TF-IDF view, in the order of the columns of `sparse`.
        sparse: (n, F) CSR, None without TF-IDF views.
        dense: (n, D) by other view, zeros where the view is missing.
    """

    sizes: dict[str, int]
    sparse: Any
    dense: dict[str, np.ndarray]

    @property
    def n_rows(self) -> int:
        """n."""
        return len(next(iter(self.dense.values()))) if self.sparse is None else self.sparse.shape[0]

    def select(self, rows: np.ndarray) -> "TrainingInputs":
        """The features of these rows, sorted and distinct; of all rows without a copy."""
        if len(rows) == self.n_rows:
            return self
        dense = {name: values[rows] for name, values in self.dense.items()}
        return TrainingInputs(self.sizes, None if self.sparse is None else self.sparse[rows], dense)


def fit_linear(
    spec: LinearSpec,
    inputs: TrainingInputs,
    targets: Targets,
    weight: np.ndarray,
    taxonomy: Taxonomy,
    counts: np.ndarray,
    *,
    seed: int = 0,
    progress: Progress,
    start: LinearModel | None = None,
) -> LinearModel:
    """Fit a linear model to n rows.

    Args:
        spec: views and hyperparameters.
        inputs: features of the rows.
        targets: categories of the rows.
        weight: (n,) sample weights.
        taxonomy: the tree, with N terminals.
        counts: (N,) training products of each terminal.
        seed: seed of the samples of landmarks and negatives.
        progress: shows how many categories are done.
        start: an earlier model over the same tree and features, to train further (`--init-from`).
    """
    terminal = np.where(targets.exact, taxonomy.terminal_of[targets.node], -1)
    terminals, level1 = start and start.terminals, start and start.level1
    if inputs.sizes:
        n, level1_nodes = len(taxonomy.terminals), taxonomy.level(1)
        level1_label = np.searchsorted(level1_nodes, taxonomy.ancestors[targets.node, 0])
        svm = partial(
            fit_linear_svm, inputs.sparse, penalty=spec.linear_svm.penalty, weight=weight, seed=seed
        )
        positive_weight = spec.linear_svm.positive_weight
        with progress("fitting the linear SVM", n + len(level1_nodes), "categories") as advance:
            terminals = svm(terminal, n, positive_weight=positive_weight, start=terminals, advance=advance)
            level1 = svm(level1_label, len(level1_nodes), start=level1, advance=advance)
    kernels, share = _fit_kernels(spec, inputs.dense, terminal, weight, len(counts), seed, start, progress)
    basis = start.basis if start else np.zeros((len(counts), 0), np.float32)
    model = LinearModel(spec, inputs.sizes, terminals, level1, kernels, share, counts, basis)
    if start is not None:
        return model
    rows = np.arange(0, len(terminal), len(terminal) // _BASIS_SAMPLE + 1)
    logits = np.empty((len(rows), len(counts)), np.float32)
    for at in range(0, len(rows), _LOGITS_BATCH):
        sample = inputs.select(rows[at : at + _LOGITS_BATCH])
        logits[at : at + _LOGITS_BATCH] = model.logits(sample.sparse, sample.dense, taxonomy)
    return model._replace(basis=fit_basis(logits))


def read_inputs(
    spec: LinearSpec,
    reader: LinearReader,
    products: Sequence[Product],
    progress: Progress,
    dense: Mapping[str, np.ndarray] | None = None,
) -> TrainingInputs:
    """Compute the features of n products, a batch at a time.

    Args:
        spec: views and their scales.
        reader: the feature extractor, with fitted preprocessors.
        products: n products.
        progress: shows how many products are done.
        dense: (n, D) by view, features of all views but TF-IDF computed earlier.
    """
    sizes = {name: preprocessor.size for name, preprocessor in reader.tfidf.items()}
    scales = {name: spec.views[name].scale for name in sizes}
    computed = set(reader.views) - set(sizes) if dense is not None else set()
    sparse_batches: list[Any] = []
    dense_batches: dict[str, list[np.ndarray]] = {name: [] for name in reader.views if name not in sizes}
    with progress("reading", len(products), "products") as advance:
        for start in range(0, len(products), _BATCH_SIZE):
            batch = [products[i] for i in range(start, min(start + _BATCH_SIZE, len(products)))]
            inputs = reader(batch, computed)
            if sizes:
                sparse_batches.append(concat_tfidf(inputs.tfidf, sizes, scales))
            for name, rows in inputs.dense.items():
                dense_batches[name].append(rows)
            advance(len(batch))
    if dense is None:
        dense = {name: np.concatenate(batches) for name, batches in dense_batches.items()}
    x = sparse.vstack(sparse_batches, format="csr") if sparse_batches else None
    return TrainingInputs(sizes, x, dict(dense))


def _fit_kernels(
    spec: LinearSpec,
    dense: Mapping[str, np.ndarray],
    terminal: np.ndarray,
    weight: np.ndarray,
    classes: int,
    seed: int,
    start: LinearModel | None,
    progress: Progress,
) -> tuple[dict[str, RBFWeights], np.ndarray]:
    """Ridge weights by view, added to those of `start`, and the classes' shares (N,)."""
    earlier = start.kernels if start else {}
    features = {}
    for name, rows in dense.items():
        present = np.flatnonzero(np.abs(rows).sum(1) > 0)
        if len(present):
            view: Any = spec.views[name]
            gamma = earlier[name].gamma if name in earlier else None
            features[name] = RBFFeatures.fit(
                rows[present], view.sharpness, spec.ridge.n_components, view.scale, seed, gamma
            )
    if not features:
        return dict(earlier), start.share if start else np.zeros(classes, np.float32)
    labelled = np.flatnonzero(terminal >= 0)
    weight = _balance_classes(weight[labelled], terminal[labelled], spec.ridge.class_balance)
    dense, terminal = {name: rows[labelled] for name, rows in dense.items()}, terminal[labelled]
    with progress("solving the ridge regression", len(labelled), "rows") as advance:
        batches = _regression_batches(dense, features, terminal, weight, classes, start, advance)
        kernels, share = fit_ridge(features, batches, classes, spec.ridge.penalty)
    if start is None:
        return kernels, share
    added = {name: earlier[name].add(w) if name in earlier else w for name, w in kernels.items()}
    return {**earlier, **added}, start.share + share


def _regression_batches(
    dense: Mapping[str, np.ndarray],
    features: Collection[str],
    terminal: np.ndarray,
    weight: np.ndarray,
    classes: int,
    start: LinearModel | None,
    advance: Advance,
) -> Iterator[tuple[dict[str, np.ndarray], Any, np.ndarray]]:
    """Embeddings by view (b, D), targets (b, N) and weights (b,).

    Targets are one-hot, or their residuals after `start`.
    """
    for begin in range(0, len(terminal), _BATCH_SIZE):
        batch = slice(begin, begin + _BATCH_SIZE)
        label, views = terminal[batch], {name: rows[batch] for name, rows in dense.items()}
        one_hot = (np.ones(len(label), np.float32), (np.arange(len(label)), label))
        y: Any = sparse.csr_matrix(one_hot, (len(label), classes))
        if start is not None:
            y = y.toarray() - start.share
            for name in start.kernels.keys() & views.keys():
                y -= start.kernels[name].scores(views[name])
        yield {name: views[name] for name in features}, y, weight[batch]
        advance(len(label))


def _balance_classes(weight: np.ndarray, label: np.ndarray, power: float) -> np.ndarray:
    """(n,) weights divided by the `power` of the total weight of their class, scaled to the same sum."""
    balanced = weight * np.maximum(np.bincount(label, weight)[label], 1e-9) ** -power
    return balanced * (weight.sum() / max(balanced.sum(), 1e-9))
