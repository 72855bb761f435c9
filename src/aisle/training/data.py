"""Batches of training rows: arrays kept whole where they fit in memory, made anew where they do not."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aisle.data import Product
from aisle.inference.input_pipeline import InputPipeline, take_kept
from aisle.models.options import Augment
from aisle.models.preprocessing import Prepared
from aisle.models.registry import Target
from aisle.progress import Progress
from aisle.taxonomy import Targets, Taxonomy
from aisle.training import parallel

KEEP_BYTES = 2 << 30  # prepared arrays of one view up to this size stay in memory
_PROBE = 64


class Batch(NamedTuple):
    """Inputs of B products and where they belong. `present` (B, V).

    sizes: where several processes share a batch, how many rows each has; inputs are then of the own share,
    the target of all.
    """

    inputs: dict[str, dict[str, Tensor]]
    present: Tensor
    target: Target
    sizes: tuple[int, ...] = ()


class TrainingSet(NamedTuple):
    """n products to learn from, where they belong, and how much each counts (`weights` (n,), None: alike)."""

    products: Sequence[Product]
    targets: Targets
    weights: np.ndarray | None = None

    def with_label_names(self, taxonomy: Taxonomy) -> "TrainingSet":
        """The same, and the names of its places too, each counting as much as a usual product."""
        rows = WithLabelNames(self.products, self.targets, taxonomy)
        ones = np.ones(len(rows.names))
        return TrainingSet(
            rows, rows.targets, None if self.weights is None else np.append(self.weights, ones)
        )


class WithLabelNames(Sequence[Product]):
    """Some rows of a catalogue, and after them the name of each place that one of them stands in: title its
    own name, description the names on its path.

    Most places of a real shop have a handful of products, and their names say what those will be. Places
    without a product stay out: they would draw answers to shelves that nobody fills.
    """

    def __init__(self, rows: Sequence[Product], targets: Targets, taxonomy: Taxonomy) -> None:
        self.rows = rows
        places = np.unique(targets.node[targets.exact])
        paths = [taxonomy.nodes[place].path for place in places]
        self.names = [Product("", {"title": p[-1], "description": " ".join(p)}) for p in paths]
        exact = np.concatenate([targets.exact, np.ones(len(places), bool)])
        self.targets = Targets(np.concatenate([targets.node, places]), exact)

    def __len__(self) -> int:
        return len(self.rows) + len(self.names)

    def __getitem__(self, i: Any) -> Any:
        return self.rows[i] if i < len(self.rows) else self.names[i - len(self.rows)]


def keep(reader: InputPipeline, name: str, catalog: Sequence[Product], progress: Progress) -> Prepared | None:
    """One view of all rows at once, a frozen encoder's output from the reader's store; None if too large."""
    n = len(catalog)
    preprocessor = reader.preprocessors[name]
    if name in reader.stored:
        return reader.kept(name, _values(reader, name, catalog, range(n)), progress)
    probe = preprocessor(_values(reader, name, catalog, range(min(_PROBE, n))))
    if sum(array.nbytes for array in probe.arrays.values()) / max(min(_PROBE, n), 1) * n > KEEP_BYTES:
        return None
    return preprocessor(_values(reader, name, catalog, range(n)))


class BatchLoader:
    """Some rows of a catalogue as batches.

    A lesson's n products, with targets in `taxonomy`; `given`: views already prepared for all of them. The
    rest is prepared once if it fits in `KEEP_BYTES`, else for every batch. varied: views that come otherwise
    in every epoch.
    """

    def __init__(
        self,
        lesson: TrainingSet,
        taxonomy: Taxonomy,
        reader: InputPipeline,
        given: Mapping[str, Prepared],
        progress: Progress,
        varied: Mapping[str, Augment] | None = None,
    ) -> None:
        self.varied = dict(varied or {})
        self.catalog, self.targets, self.weights = lesson
        self.taxonomy, self.reader = taxonomy, reader
        self.kept: dict[str, Prepared] = dict(given)
        for name in reader.views.keys() - given.keys() - self.varied.keys():
            prepared = keep(reader, name, self.catalog, progress)
            if prepared is not None:
                self.kept[name] = prepared

    def __len__(self) -> int:
        return len(self.targets.node)

    def batch(self, rows: np.ndarray, views: Sequence[str] | None = None, seed: Sequence[int] = ()) -> Batch:
        """The batch of these rows; views not in `views` count as absent. seed: of this epoch's variations."""
        inputs: dict[str, dict[str, Tensor]] = {}
        present = []
        for name in self.reader.views:
            if views is not None and name not in views:
                prepared = self.reader.prepare(name, [None] * len(rows))
            elif name in self.kept:
                kept = self.kept[name]
                arrays = self._take(name, kept.arrays, rows)
                prepared = Prepared(arrays, kept.present[rows], {})
            else:
                values = _values(self.reader, name, self.catalog, rows)
                if name in self.varied:
                    seeds = [[*seed, int(row)] for row in rows]
                    prepared = self.reader.varied(name, values, self.varied[name], seeds)
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
            return take_kept(arrays, rows)
        return self.reader.preprocessors[name].take(arrays, rows)

    def shuffled(self, size: int, seed: Sequence[int], views: Sequence[str] | None = None) -> Iterator[Batch]:
        """Every row once, in an order that the seed decides; the last batch may be smaller. Of each, this
        process's share."""
        order = np.random.default_rng(seed).permutation(len(self))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            own, sizes = parallel.cut(rows)
            batch = self.batch(own, views, seed)
            yield batch._replace(target=self._target(rows), sizes=sizes) if sizes else batch

    def in_order(self, size: int, views: Sequence[str] | None = None) -> Iterator[Batch]:
        """Every row once, in order."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))), views)


def _values(
    reader: InputPipeline, name: str, catalog: Sequence[Product], rows: range | np.ndarray
) -> list[Any]:
    view = reader.views[name]
    return [view.value(catalog[int(i)]) for i in rows]
