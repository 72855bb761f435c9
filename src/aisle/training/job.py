"""What a family of models is given to train on, and what it gives back."""

import itertools
from typing import Any, NamedTuple

import numpy as np

from aisle.data import Catalog
from aisle.models.features import FeatureStore
from aisle.models.views import View
from aisle.taxonomy import Targets, Taxonomy
from aisle.training.cross_fit import OutOfFold

FIT_SAMPLE = 500_000  # products from which vocabularies are learned
_ENOUGH = 20_000  # of them that have a view; where fewer do, its vocabulary is learned from all products


class SplitRows(NamedTuple):
    """Sorted, disjoint row numbers of one catalog."""

    train: np.ndarray
    validation: np.ndarray
    calibration: np.ndarray
    threshold: np.ndarray


class Assignment(NamedTuple):
    """What a family of models is trained on. counts (N,): training products a terminal. start: a model to go
    on from. device: where a network learns, the CPU by default. folds: of each row in `split.train`, see
    `aisle.training.cross_fit`; None without cross-fitting."""

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


class Trained(NamedTuple):
    """A predictor without a policy, and what fold models say of its training rows, where there are folds."""

    predictor: Any
    out_of_fold: OutOfFold | None = None


def pick(targets: Targets, rows: np.ndarray) -> Targets:
    """Those of some rows."""
    return Targets(targets.node[rows], targets.exact[rows])


def fit_preprocessors(
    preprocessors: dict[str, Any], views: dict[str, View], catalog: Catalog, seed: int
) -> None:
    """Fit each view's preprocessor on the catalog, or on a sample of it."""
    whole = len(catalog) <= FIT_SAMPLE
    some = catalog if whole else catalog.select(_sample(len(catalog), seed))
    for name, view in views.items():
        rare = not whole and not _has_many(view, some)
        preprocessors[name].fit(view.value(product) for product in (catalog if rare else some))


def _has_many(view: View, catalog: Catalog) -> bool:
    """Whether so many of these rows have the view that its vocabulary can be learned from them."""
    there = (product for product in catalog if view.value(product) is not None)
    return sum(1 for _ in itertools.islice(there, _ENOUGH)) == _ENOUGH


def _sample(n: int, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).choice(n, FIT_SAMPLE, replace=False))
