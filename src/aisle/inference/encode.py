"""From products to the network's inputs, and frozen encoders' outputs from the feature store."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aisle.catalog import Product
from aisle.model.features import FeatureStore, content_key
from aisle.model.model import Model
from aisle.model.prepare import Prepared, Preparer
from aisle.model.views import View
from aisle.progress import SILENT, Progress


class Inputs(NamedTuple):
    """What the network is called with, and the problems met on the way: {row: [what]}."""

    arrays: dict[str, dict[str, Tensor]]
    present: Tensor  # (B, V) bool
    problems: dict[int, list[str]]


class Reader:
    """Turns products into `Inputs` for one network.

    store: where frozen encoders' outputs are kept; without one they are computed each time.
    """

    def __init__(
        self,
        model: Model,
        views: Mapping[str, View],
        preparers: Mapping[str, Preparer],
        store: FeatureStore | None = None,
    ) -> None:
        self.model, self.views, self.preparers, self.store = model, views, preparers, store
        self._spaces: dict[str, str] = {}

    def only(self, names: Collection[str]) -> "Reader":
        """The same, of some views alone."""
        views = {name: view for name, view in self.views.items() if name in names}
        return Reader(self.model, views, self.preparers, self.store)

    def __call__(self, products: Sequence[Product], without: Collection[str] = ()) -> Inputs:
        """B products -> inputs; views named in `without` count as absent."""
        device = next(self.model.parameters()).device
        arrays: dict[str, dict[str, Tensor]] = {}
        present: list[np.ndarray] = []
        problems: dict[int, list[str]] = {}
        for name, view in self.views.items():
            values = [None] * len(products) if name in without else view.values(products)
            prepared = self.prepare(name, values)
            for row, what in prepared.problems.items():
                problems.setdefault(row, []).append(what)
            arrays[name] = {k: torch.from_numpy(v).to(device) for k, v in prepared.arrays.items()}
            present.append(prepared.present)
        return Inputs(arrays, torch.from_numpy(np.stack(present, 1)).to(device), problems)

    def prepare(self, name: str, values: Sequence[Any]) -> Prepared:
        """One view's arrays: a frozen encoder's kept output where there is a store."""
        if all(value is None for value in values):
            # Nothing to encode: an absent view's contents are never read, only its width matters.
            empty = np.zeros((len(values), self.model.dim_of(name)), np.float32)
            return Prepared({"pooled": empty}, np.zeros(len(values), bool), {})
        return self.kept(name, values) if name in self.stored else self.preparers[name](values)

    @property
    def stored(self) -> set[str]:
        """Views whose encoder's output is kept on disk: frozen ones that cost more to run than to read."""
        if self.store is None:
            return set()
        return {name for name in self.model.frozen if self.model.encoders[name].costly}

    def kept(self, name: str, values: Sequence[Any], progress: Progress = SILENT) -> Prepared:
        """A frozen encoder's pooled output, from the store or computed into it. Arrays: `pooled` (B, D)."""
        assert self.store is not None
        problems: dict[int, str] = {}
        here = [i for i, value in enumerate(values) if value is not None]
        keys = [content_key(values[i]) for i in here]

        def compute(positions: list[int]) -> np.ndarray:
            prepared = self.preparers[name]([values[here[i]] for i in positions])
            pooled = self._encode(name, prepared)
            pooled[~prepared.present] = np.nan  # how the store remembers that a picture could not be read
            return pooled

        pooled = np.zeros((len(values), self.model.dim_of(name)), np.float32)
        present = np.zeros(len(values), dtype=bool)
        if here:
            rows = self.store.get(self.space(name), keys, compute, 256, f"encoding {name}", progress)
            good = ~np.isnan(rows[:, 0])
            pooled[here] = np.nan_to_num(rows)
            present[here] = good
            for i in np.flatnonzero(~good):
                problems[here[i]] = f"{self.views[name].modality} of view {name!r} cannot be read"
        return Prepared({"pooled": pooled}, present, problems)

    def space(self, name: str) -> str:
        """The store's space for a frozen view: its encoder's weights and its preprocessing."""
        if name not in self._spaces:
            self._spaces[name] = f"{self.model.fingerprint(name)}-{self.preparers[name].fingerprint}"
        return self._spaces[name]

    @torch.inference_mode()
    def _encode(self, name: str, prepared: Prepared, batch: int = 64) -> np.ndarray:
        device = next(self.model.parameters()).device
        encoder = self.model.encoders[name].eval()
        parts = []
        for start in range(0, len(prepared.present), batch):
            rows = np.arange(start, min(start + batch, len(prepared.present)))
            arrays = self.preparers[name].take(prepared.arrays, rows)
            inputs = {k: torch.from_numpy(v).to(device) for k, v in arrays.items()}
            parts.append(encoder(**inputs).pooled.float().cpu().numpy())
        return np.concatenate(parts)


def in_batches(products: Iterable[Product], size: int) -> Iterator[list[Product]]:
    """Lists of at most `size` products, so that a stream is never held whole."""
    batch: list[Product] = []
    for product in products:
        batch.append(product)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
