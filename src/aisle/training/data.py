"""Batches of training products; prepared arrays stay in memory where they fit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aisle.data import Product
from aisle.inference.input_pipeline import InputPipeline, take_encoded
from aisle.models.options import Augment
from aisle.models.preprocessing import Prepared
from aisle.models.registry import Target
from aisle.progress import Progress
from aisle.taxonomy import Taxonomy
from aisle.training import parallel
from aisle.training.job import TrainingSet

MAX_CACHED_BYTES = 2 << 30  # prepared arrays of one view up to this size stay in memory
_PROBE_ROWS = 64  # the size is estimated from these


class Batch(NamedTuple):
    """A batch of B products.

    Attributes:
        inputs: arrays by view.
        present: (B, V) bool.
        target: their labels.
        sizes: rows of each process, where several share a batch; inputs are then those of this process, and
            the target is that of all.
    """

    inputs: dict[str, dict[str, Tensor]]
    present: Tensor
    target: Target
    sizes: tuple[int, ...] = ()


def prepare_all(
    reader: InputPipeline, name: str, products: Sequence[Product], progress: Progress
) -> Prepared | None:
    """Prepare one view of all products.

    Args:
        reader: the input pipeline.
        name: of the view.
        products: n products.
        progress: shows how many rows a frozen encoder has encoded.

    Returns:
        The arrays, or the outputs of a frozen encoder; None if they exceed `MAX_CACHED_BYTES`.
    """
    n = len(products)
    preprocessor = reader.preprocessors[name]
    if name in reader.stored:
        return reader.encoded(name, _values(reader, name, products, range(n)), progress)
    n_probe = min(_PROBE_ROWS, n)
    probe = preprocessor(_values(reader, name, products, range(n_probe)))
    if sum(array.nbytes for array in probe.arrays.values()) / max(n_probe, 1) * n > MAX_CACHED_BYTES:
        return None
    return preprocessor(_values(reader, name, products, range(n)))


class BatchLoader:
    """Batches of a training set.

    A view is prepared once if it fits in `MAX_CACHED_BYTES`, else for every batch.

    Args:
        training_set: n products.
        taxonomy: the tree of its labels.
        reader: the input pipeline.
        progress: shows how many rows frozen encoders have encoded.
        augment: options of augmented views, which are prepared for every batch.
    """

    def __init__(
        self,
        training_set: TrainingSet,
        taxonomy: Taxonomy,
        reader: InputPipeline,
        progress: Progress,
        augment: Mapping[str, Augment] | None = None,
    ) -> None:
        self.augment = dict(augment or {})
        self.products, self.targets, self.weights = training_set
        self.taxonomy, self.reader = taxonomy, reader
        self.prepared: dict[str, Prepared] = {}
        for name in reader.views.keys() - self.augment.keys():
            prepared = prepare_all(reader, name, self.products, progress)
            if prepared is not None:
                self.prepared[name] = prepared

    def __len__(self) -> int:
        return len(self.targets.node)

    def batch(self, rows: np.ndarray, views: Sequence[str] | None = None, seed: Sequence[int] = ()) -> Batch:
        """Make a batch.

        Args:
            rows: (B,) row numbers.
            views: names of the views to read; the others count as missing. All by default.
            seed: seed of the augmentation, together with the row.
        """
        inputs: dict[str, dict[str, Tensor]] = {}
        present = []
        for name in self.reader.views:
            if views is not None and name not in views:
                prepared = self.reader.prepare(name, [None] * len(rows))
            elif name in self.prepared:
                arrays = self.prepared[name]
                prepared = Prepared(self._take(name, arrays.arrays, rows), arrays.present[rows], {})
            else:
                values = _values(self.reader, name, self.products, rows)
                if name in self.augment:
                    seeds = [[*seed, int(row)] for row in rows]
                    prepared = self.reader.augmented(name, values, self.augment[name], seeds)
                else:
                    prepared = self.reader.prepare(name, values)
            inputs[name] = {k: torch.from_numpy(v) for k, v in prepared.arrays.items()}
            present.append(prepared.present)
        return Batch(inputs, torch.from_numpy(np.stack(present, 1)), self._target(rows))

    def _target(self, rows: np.ndarray) -> Target:
        weight = None if self.weights is None else torch.from_numpy(self.weights[rows].astype(np.float32))
        targets = self.targets
        return Target(torch.from_numpy(targets.node[rows]), torch.from_numpy(targets.exact[rows]), weight)

    def _take(self, name: str, arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        if "pooled" in arrays:
            return take_encoded(arrays, rows)
        return self.reader.preprocessors[name].take(arrays, rows)

    def shuffled(self, size: int, seed: Sequence[int], views: Sequence[str] | None = None) -> Iterator[Batch]:
        """This process's share of batches of all rows in random order.

        Args:
            size: rows per batch; the last batch may be smaller.
            seed: of the order, and of the augmentation.
            views: names of the views to read, all by default.
        """
        order = np.random.default_rng(seed).permutation(len(self))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            share, sizes = parallel.process_share(rows)
            batch = self.batch(share, views, seed)
            yield batch._replace(target=self._target(rows), sizes=sizes) if sizes else batch

    def in_order(self, size: int, views: Sequence[str] | None = None) -> Iterator[Batch]:
        """Batches of all rows in order; arguments as of `shuffled`."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))), views)


def _values(
    reader: InputPipeline, name: str, products: Sequence[Product], rows: range | np.ndarray
) -> list[Any]:
    view = reader.views[name]
    return [view.value(products[int(i)]) for i in rows]
