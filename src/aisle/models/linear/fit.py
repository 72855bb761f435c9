"""Training of a linear model: the SVM over TF-IDF views, ridge regression over all other views."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from aisle.data import Product
from aisle.models.linear.config import LinearSpec
from aisle.models.linear.model import LinearModel, find_basis
from aisle.models.linear.rbf import RBFFeatures, RBFWeights, fit_ridge
from aisle.models.linear.reader import LinearReader, stacked
from aisle.models.linear.svm import fit_linear_svm
from aisle.progress import Advance, Progress
from aisle.taxonomy import Targets, Taxonomy

_BLOCK = 4096  # rows read, and regressed, at once
_SAMPLE = 4096  # rows by which directions of the embedding are found


class TrainingRows(NamedTuple):
    """Training products.

    Attributes:
        products: n products.
        targets: their categories.
        weight: (n,) row weights.
    """

    products: Sequence[Product]
    targets: Targets
    weight: np.ndarray

    def with_label_names(self, nodes: np.ndarray, names: Sequence[Product]) -> "TrainingRows":
        """These rows and one more for each of K categories.

        Args:
            nodes: (K,) the categories.
            names: their names, as products.
        """
        node = np.concatenate([self.targets.node, nodes])
        exact = np.concatenate([self.targets.exact, np.ones(len(names), bool)])
        weight = np.concatenate([self.weight, np.ones(len(names))])
        return TrainingRows(ConcatSequence(self.products, names), Targets(node, exact), weight)


class ConcatSequence(Sequence[Product]):
    """Two sequences, one after the other, without a copy.

    Args:
        first: its products come first.
        second: those that follow.
    """

    def __init__(self, first: Sequence[Product], second: Sequence[Product]) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, i: Any) -> Any:
        return self.first[i] if i < len(self.first) else self.second[i - len(self.first)]


class TrainingInputs(NamedTuple):
    """Features of n products.

    Attributes:
        sizes: features of each TF-IDF view, in the columns' order.
        sparse: (n, F) CSR, None without such views.
        dense: by other view (n, D), zeros where the view is missing.
    """

    sizes: dict[str, int]
    sparse: Any
    dense: dict[str, np.ndarray]

    def select(self, rows: np.ndarray) -> "TrainingInputs":
        """The features of these rows."""
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
        inputs: features of the rows, those of categories' names included.
        targets: the rows' categories.
        weight: (n,) row weights.
        taxonomy: the tree, with N terminals.
        counts: (N,) training products of each terminal.
        seed: of the draws of landmarks and negatives.
        progress: shows how many categories are done.
        start: an earlier model over this tree and these features (`--init-from`); these rows correct it.

    Returns:
        The model.
    """
    terminal = np.where(targets.exact, taxonomy.terminal_of[targets.node], -1)
    terminals, level1 = start and start.terminals, start and start.level1
    if inputs.sizes:
        n, tops = len(taxonomy.terminals), taxonomy.level(1)
        top = np.searchsorted(tops, taxonomy.ancestors[targets.node, 0])
        given: dict[str, Any] = {"weight": weight, "seed": seed}
        with progress("fitting the linear SVM", n + len(tops), "categories") as advance:
            given["advance"] = advance
            svm = spec.linear_svm
            more = {"start": terminals, "positive_weight": svm.positive_weight}
            terminals = fit_linear_svm(inputs.sparse, terminal, n, svm.penalty, **more, **given)
            level1 = fit_linear_svm(inputs.sparse, top, len(tops), svm.penalty, start=level1, **given)
    kernels, share = _ridge(spec, inputs.dense, terminal, weight, len(counts), seed, start, progress)
    basis = start.basis if start else np.zeros((len(counts), 0), np.float32)
    model = LinearModel(spec, inputs.sizes, terminals, level1, kernels, share, counts, basis)
    if start is not None:
        return model
    sample = np.arange(0, len(terminal), len(terminal) // _SAMPLE + 1)
    some = inputs.select(sample)
    return model._replace(basis=find_basis(model.logits(some.sparse, some.dense, taxonomy)))


def read_inputs(
    spec: LinearSpec,
    reader: LinearReader,
    products: Sequence[Product],
    progress: Progress,
    dense: Mapping[str, np.ndarray] | None = None,
) -> TrainingInputs:
    """Compute the features of n products, a block at a time.

    Args:
        spec: views and their scales.
        reader: with fitted preprocessors.
        products: n products.
        progress: shows how many products are done.
        dense: by view (n, D), features computed before; only TF-IDF views are computed then.

    Returns:
        The features.
    """
    sizes = {name: one.size for name, one in reader.lexical.items()}
    scales = {name: spec.views[name].scale for name in sizes}
    known = set(reader.views) - set(sizes) if dense is not None else set()
    parts: list[Any] = []
    found: dict[str, list[np.ndarray]] = {name: [] for name in reader.views if name not in sizes}
    with progress("reading", len(products), "products") as advance:
        for start in range(0, len(products), _BLOCK):
            block = [products[i] for i in range(start, min(start + _BLOCK, len(products)))]
            inputs = reader(block, known)
            if sizes:
                parts.append(stacked(inputs.lexical, sizes, scales))
            for name, rows in inputs.dense.items():
                found[name].append(rows)
            advance(len(block))
    together = {name: np.concatenate(rows) for name, rows in found.items()} if dense is None else dict(dense)
    return TrainingInputs(sizes, sparse.vstack(parts, format="csr") if parts else None, together)


def _ridge(
    spec: LinearSpec,
    dense: Mapping[str, np.ndarray],
    terminal: np.ndarray,
    weight: np.ndarray,
    classes: int,
    seed: int,
    start: LinearModel | None,
    progress: Progress,
) -> tuple[dict[str, RBFWeights], np.ndarray]:
    """Weights by view, added to those of `start`, and the classes' shares (N,)."""
    before = start.kernels if start else {}
    features = {}
    for name, rows in dense.items():
        here = np.flatnonzero(np.abs(rows).sum(1) > 0)
        if len(here):
            view: Any = spec.views[name]
            gamma = before[name].gamma if name in before else None
            given = (view.sharpness, spec.ridge.n_components, view.scale, seed, gamma)
            features[name] = RBFFeatures.fit(rows[here], *given)
    if not features:
        return dict(before), start.share if start else np.zeros(classes, np.float32)
    known = np.flatnonzero(terminal >= 0)
    weight = _balanced(weight[known], terminal[known], spec.ridge.class_balance)
    dense, terminal = {name: rows[known] for name, rows in dense.items()}, terminal[known]
    with progress("solving the ridge regression", len(known), "rows") as advance:
        blocks = _regression_blocks(dense, features, terminal, weight, classes, start, advance)
        found, share = fit_ridge(features, blocks, classes, spec.ridge.penalty)
    if start is None:
        return found, share
    joined = {name: one.joined(found[name]) if name in found else one for name, one in before.items()}
    return joined | {n: one for n, one in found.items() if n not in before}, start.share + share


def _regression_blocks(
    dense: Mapping[str, np.ndarray],
    features: Collection[str],
    terminal: np.ndarray,
    weight: np.ndarray,
    classes: int,
    start: LinearModel | None,
    advance: Advance,
) -> Iterator[tuple[dict[str, np.ndarray], Any, np.ndarray]]:
    """Embeddings by view (b, D), targets (b, N) and weights (b,): one-hot, or what `start` leaves of it."""
    for begin in range(0, len(terminal), _BLOCK):
        some = slice(begin, begin + _BLOCK)
        label, views = terminal[some], {name: rows[some] for name, rows in dense.items()}
        at = (np.arange(len(label)), label)
        y: Any = sparse.csr_matrix((np.ones(len(label), np.float32), at), (len(label), classes))
        if start is not None:
            y = y.toarray() - start.share
            for name in start.kernels.keys() & views.keys():
                y -= start.kernels[name].scores(views[name])
        yield {name: views[name] for name in features}, y, weight[some]
        advance(len(label))


def _balanced(weight: np.ndarray, label: np.ndarray, power: float) -> np.ndarray:
    """(n,) the weights times the weight of each row's class to the power of minus `power`, of equal sum."""
    found = weight * np.maximum(np.bincount(label, weight)[label], 1e-9) ** -power
    return found * (weight.sum() / max(found.sum(), 1e-9))
