"""The input and output of `train` of each family of models."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from aisle.data import Catalog, Product
from aisle.inference.zero_shot import name_products
from aisle.models.features import FeatureStore
from aisle.models.views import View
from aisle.taxonomy import Targets, Taxonomy
from aisle.training.cross_fit import OutOfFold

FIT_SAMPLE = 500_000  # products that preprocessors are fitted on, at most
_MIN_WITH_VIEW = (
    20_000  # of these with a view; where fewer have it, its preprocessor is fitted on all products
)


class ConcatSequence(Sequence[Product]):
    """Two sequences of products, concatenated without a copy."""

    def __init__(self, first: Sequence[Product], second: Sequence[Product]) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, i: Any) -> Any:
        return self.first[i] if i < len(self.first) else self.second[i - len(self.first)]


class TrainingSet(NamedTuple):
    """Training products.

    Attributes:
        products: n products.
        targets: their labels.
        weights: (n,) sample weights; None weighs all alike.
    """

    products: Sequence[Product]
    targets: Targets
    weights: np.ndarray | None = None

    def labels(self) -> np.ndarray:
        """The nodes that some product is labelled with exactly, sorted."""
        return np.unique(self.targets.node[self.targets.exact])

    def with_label_names(self, taxonomy: Taxonomy) -> "TrainingSet":
        """Append the name of each of K labels as a product (`name_products`), with weight 1.

        Most categories have few products, and their names tell what further ones will be. The names of
        categories without products are left out: nothing would be assigned to them rightly.

        Returns:
            n + K products.
        """
        nodes = self.labels()
        node = np.concatenate([self.targets.node, nodes])
        exact = np.concatenate([self.targets.exact, np.ones(len(nodes), bool)])
        weights = None if self.weights is None else np.append(self.weights, np.ones(len(nodes)))
        names = name_products(taxonomy, nodes)
        return TrainingSet(ConcatSequence(self.products, names), Targets(node, exact), weights)


class SplitRows(NamedTuple):
    """Sorted, disjoint row numbers of one catalog."""

    train: np.ndarray
    validation: np.ndarray
    calibration: np.ndarray
    threshold: np.ndarray


class TrainingJob(NamedTuple):
    """The inputs of training.

    Attributes:
        catalog: n labelled products.
        targets: their labels.
        split: the rows of each part.
        taxonomy: the tree, with N terminals.
        counts: (N,) training products of each terminal.
        store: cache of frozen encoders' outputs.
        start: a model to start from (`--init-from`).
        device: the device of a network, the CPU by default.
        trust_code: whether outside code may be imported.
        folds: fold of each row in `split.train` (`aisle.training.cross_fit`); None without cross-fitting.
    """

    catalog: Catalog
    targets: Targets
    split: SplitRows
    taxonomy: Taxonomy
    counts: np.ndarray
    store: FeatureStore | None = None
    start: Any = None
    device: Any = None
    trust_code: bool = False
    folds: np.ndarray | None = None


class FitResult(NamedTuple):
    """A trained model.

    Attributes:
        predictor: a predictor without a policy.
        out_of_fold: out-of-fold predictions of its training rows, where it was cross-fitted.
    """

    predictor: Any
    out_of_fold: OutOfFold | None = None


def fit_preprocessors(
    preprocessors: dict[str, Any], views: dict[str, View], catalog: Catalog, seed: int
) -> None:
    """Fit the preprocessor of each view, in place.

    Args:
        preprocessors: by view.
        views: by name.
        catalog: the training products; of more than `FIT_SAMPLE`, a sample is used.
        seed: seed of the sample.
    """
    sample, sampled = catalog, len(catalog) > FIT_SAMPLE
    if sampled:
        rng = np.random.default_rng(seed)
        sample = catalog.select(np.sort(rng.choice(len(catalog), FIT_SAMPLE, replace=False)))
    for name, view in views.items():
        rare = sampled and not _is_common(view, sample)
        preprocessors[name].fit(view.value(product) for product in (catalog if rare else sample))


def _is_common(view: View, catalog: Catalog) -> bool:
    """Whether at least `_MIN_WITH_VIEW` products have the view."""
    present = (product for product in catalog if view.value(product) is not None)
    return sum(1 for _ in itertools.islice(present, _MIN_WITH_VIEW)) == _MIN_WITH_VIEW
