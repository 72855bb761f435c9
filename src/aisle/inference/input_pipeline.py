"""Turns products into a network's input tensors, with frozen encoders' outputs from the feature store."""

import zlib
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aisle.data import Product
from aisle.data.images import is_temporary
from aisle.models.features import Features, FeatureStore, StoredRows, content_key
from aisle.models.model import Model
from aisle.models.options import Augment
from aisle.models.preprocessing import ImagePreprocessor, Prepared, Preprocessor
from aisle.models.preprocessing.augmentation import augment_image, augment_text
from aisle.models.views import View
from aisle.progress import SILENT, Progress

_HALF = float(np.finfo(np.float16).max)


class NetworkInputs(NamedTuple):
    """What the network is called with, and the problems met on the way: {row: [what]}."""

    arrays: dict[str, dict[str, Tensor]]
    present: Tensor  # (B, V) bool
    problems: dict[int, list[str]]


class InputPipeline:
    """Turns products into `NetworkInputs` for one network.

    store: where frozen encoders' outputs are kept; without one they are computed each time.
    """

    def __init__(
        self,
        model: Model,
        views: Mapping[str, View],
        preprocessors: Mapping[str, Preprocessor],
        store: FeatureStore | None = None,
    ) -> None:
        self.model, self.views, self.preprocessors, self.store = model, views, preprocessors, store
        self._spaces: dict[str, str] = {}

    def only(self, names: Collection[str]) -> "InputPipeline":
        """The same, of some views alone."""
        views = {name: view for name, view in self.views.items() if name in names}
        return InputPipeline(self.model, views, self.preprocessors, self.store)

    def __call__(self, products: Sequence[Product], without: Collection[str] = ()) -> NetworkInputs:
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
        return NetworkInputs(arrays, torch.from_numpy(np.stack(present, 1)).to(device), problems)

    def prepare(self, name: str, values: Sequence[Any]) -> Prepared:
        """One view's arrays: a frozen encoder's kept output where there is a store."""
        if all(value is None for value in values):
            # Nothing to encode: an absent view's contents are never read, only its width matters.
            empty = np.zeros((len(values), self.model.dim_of(name)), np.float32)
            return Prepared({"pooled": empty}, np.zeros(len(values), bool), {})
        if name not in self.stored:
            return self.preprocessors[name](values)
        kept = self.kept(name, values)
        return kept._replace(arrays=take_kept(kept.arrays, np.arange(len(values))))

    def augmented(
        self, name: str, values: Sequence[Any], augment: Augment, seeds: Sequence[Sequence[int]]
    ) -> Prepared:
        """One view's arrays of texts and pictures as they might also have been; a seed decides each."""
        view, preprocessor = self.views[name], self.preprocessors[name]
        rngs = [np.random.default_rng([*seed, zlib.crc32(name.encode())]) for seed in seeds]
        if isinstance(preprocessor, ImagePreprocessor):
            return preprocessor(values, [partial(augment_image, augment=augment, rng=rng) for rng in rngs])
        if view.modality == "text":
            count = 2 if "*" in view.fields else len(view.fields)
            pairs = zip(values, rngs, strict=True)
            values = [
                None if text is None else augment_text(text, augment, rng, count) for text, rng in pairs
            ]
        return preprocessor(values)

    @property
    def stored(self) -> set[str]:
        """Views whose encoder's output is kept on disk: frozen ones that cost more to run than to read."""
        if self.store is None:
            return set()
        return {name for name in self.model.frozen if self.model.encoders[name].cacheable}

    def kept(self, name: str, values: Sequence[Any], progress: Progress = SILENT) -> Prepared:
        """A frozen encoder's output, from the store or computed into it. Arrays: `pooled` (B, D); where the
        fusion reads tokens also `tokens` (B, T, D), which stay on disk, and `mask` (B, T)."""
        assert self.store is not None
        here = np.array([i for i, value in enumerate(values) if value is not None], np.int64)
        keys = [content_key(values[i]) for i in here]

        def compute(positions: list[int]) -> Features:
            return self._encode(name, self.preprocessors[name]([values[here[i]] for i in positions]))

        pooled = np.zeros((len(values), self.model.dim_of(name)), np.float32)
        present = np.zeros(len(values), dtype=bool)
        arrays: dict[str, Any] = {"pooled": pooled}
        problems: dict[int, str] = {}
        if len(here):
            found = self.store.get(self.space(name), keys, compute, 256, f"encoding {name}", progress)
            good = ~np.isnan(found.pooled[:, 0])
            pooled[here] = np.nan_to_num(found.pooled)
            present[here] = good
            for i in here[~good]:
                problems[i] = f"{self.views[name].modality} of view {name!r} cannot be read"
            if self.model.fusion.reads_tokens:
                arrays["tokens"] = KeptTokens(found, here, len(values))
        return Prepared(arrays, present, problems)

    def space(self, name: str) -> str:
        """The store's space for a frozen view: its encoder's weights and its preprocessing."""
        if name not in self._spaces:
            made = f"{self.model.fingerprint(name)}-{self.preprocessors[name].fingerprint}"
            tokens = f"-tokens{self.model.max_tokens}" if self.model.fusion.reads_tokens else ""
            self._spaces[name] = made + tokens
        return self._spaces[name]

    @torch.inference_mode()
    def _encode(self, name: str, prepared: Prepared, batch: int = 64) -> Features:
        device = next(self.model.parameters()).device
        self.model.encoders[name].eval()
        pooled: list[np.ndarray] = []
        tokens: list[np.ndarray] = []
        for start in range(0, len(prepared.present), batch):
            rows = np.arange(start, min(start + batch, len(prepared.present)))
            arrays = self.preprocessors[name].take(prepared.arrays, rows)
            encoded = self.model.encode(name, {k: torch.from_numpy(v).to(device) for k, v in arrays.items()})
            pooled.append(encoded.pooled.float().cpu().numpy())
            if self.model.fusion.reads_tokens:
                half = encoded.tokens.clamp(-_HALF, _HALF).half().cpu().numpy()
                mask = encoded.mask.cpu().numpy() & prepared.present[rows, None]
                tokens += [one[seen] for one, seen in zip(half, mask, strict=True)]
        together = np.concatenate(pooled)
        together[~prepared.present] = np.nan  # how the store remembers that a picture could not be read
        temporary = np.array([is_temporary(prepared.problems.get(i, "")) for i in range(len(together))], bool)
        return Features(together, tokens if self.model.fusion.reads_tokens else None, temporary)


class KeptTokens:
    """Tokens of n rows in a feature store, of which `found` are `here`; read when they are asked for."""

    def __init__(self, found: StoredRows, here: np.ndarray, n: int) -> None:
        self.found, self.at = found, np.full(n, -1)
        self.at[here] = np.arange(len(here))

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(b, T, D) float16 and their mask (b, T); T is the most that any of these rows has."""
        place = self.at[rows]
        length = np.where(place >= 0, self.found.lengths[place], 0)
        width = max(int(length.max(initial=0)), 1)
        some = self.found.tokens(place[place >= 0], width)
        tokens = np.zeros((len(rows), *some.shape[1:]), np.float16)
        tokens[place >= 0] = some
        return tokens, np.arange(width) < length[:, None]


def take_kept(arrays: Mapping[str, Any], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Some rows of what `InputPipeline.kept` gave, as the network takes them."""
    taken = {"pooled": arrays["pooled"][rows]}
    if "tokens" in arrays:
        taken["tokens"], taken["mask"] = arrays["tokens"].take(rows)
    return taken
