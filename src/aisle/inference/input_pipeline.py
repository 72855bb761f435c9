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

_HALF_MAX = float(np.finfo(np.float16).max)
_CHUNK_SIZE = 256  # rows encoded and stored together


class NetworkInputs(NamedTuple):
    """The inputs of a network for B products.

    Attributes:
        arrays: by view.
        present: (B, V) bool.
        problems: messages by row.
    """

    arrays: dict[str, dict[str, Tensor]]
    present: Tensor
    problems: dict[int, list[str]]


class InputPipeline:
    """Turns products into the inputs of a network.

    Args:
        model: the network.
        views: what each view reads of a product.
        preprocessors: a fitted one by view.
        store: cache of frozen encoders' outputs; without one they are computed each time.
    """

    def __init__(
        self,
        model: Model,
        views: Mapping[str, View],
        preprocessors: Mapping[str, Preprocessor],
        store: FeatureStore | None = None,
    ) -> None:
        self.model, self.views, self.preprocessors, self.store = model, views, preprocessors, store
        self._namespaces: dict[str, str] = {}

    def only(self, names: Collection[str]) -> "InputPipeline":
        """A copy that reads some views only."""
        views = {name: view for name, view in self.views.items() if name in names}
        return InputPipeline(self.model, views, self.preprocessors, self.store)

    def __call__(self, products: Sequence[Product], without: Collection[str] = ()) -> NetworkInputs:
        """Prepare B products; views named in `without` count as missing."""
        device = next(self.model.parameters()).device
        arrays: dict[str, dict[str, Tensor]] = {}
        present: list[np.ndarray] = []
        problems: dict[int, list[str]] = {}
        for name, view in self.views.items():
            values = [None] * len(products) if name in without else view.values(products)
            prepared = self.prepare(name, values)
            for row, message in prepared.problems.items():
                problems.setdefault(row, []).append(message)
            arrays[name] = {k: torch.from_numpy(v).to(device) for k, v in prepared.arrays.items()}
            present.append(prepared.present)
        return NetworkInputs(arrays, torch.from_numpy(np.stack(present, 1)).to(device), problems)

    def prepare(self, name: str, values: Sequence[Any]) -> Prepared:
        """Prepare one view.

        Args:
            name: of the view.
            values: B values, None where the view is missing.

        Returns:
            The preprocessor's arrays, or the cached output of a frozen encoder.
        """
        if all(value is None for value in values):  # the content of missing views is not read
            empty = np.zeros((len(values), self.model.dim_of(name)), np.float32)
            return Prepared({"pooled": empty}, np.zeros(len(values), bool), {})
        if name not in self.stored:
            return self.preprocessors[name](values)
        encoded = self.encoded(name, values)
        return encoded._replace(arrays=take_encoded(encoded.arrays, np.arange(len(values))))

    def augmented(
        self, name: str, values: Sequence[Any], augment: Augment, seeds: Sequence[Sequence[int]]
    ) -> Prepared:
        """Prepare one view with random changes.

        Args:
            name: of the view.
            values: B values, None where the view is missing.
            augment: probabilities and ranges of the changes.
            seeds: B seeds.
        """
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
        """The views whose encoder's output is cached on disk."""
        if self.store is None:
            return set()
        return {name for name in self.model.frozen if self.model.encoders[name].cacheable}

    def encoded(self, name: str, values: Sequence[Any], progress: Progress = SILENT) -> Prepared:
        """The output of a frozen encoder, from the store or computed and stored.

        Args:
            name: of the view.
            values: B values, None where the view is missing.
            progress: shows how many values are encoded.

        Returns:
            Arrays `pooled` (B, D) and, where the fusion reads tokens, `tokens`, which stay on disk
            (`StoredTokens`).
        """
        assert self.store is not None
        rows_with_value = np.array([i for i, value in enumerate(values) if value is not None], np.int64)
        keys = [content_key(values[i]) for i in rows_with_value]

        def compute(positions: list[int]) -> Features:
            return self._encode(
                name, self.preprocessors[name]([values[rows_with_value[i]] for i in positions])
            )

        pooled = np.zeros((len(values), self.model.dim_of(name)), np.float32)
        present = np.zeros(len(values), dtype=bool)
        arrays: dict[str, Any] = {"pooled": pooled}
        problems: dict[int, str] = {}
        if len(rows_with_value):
            label = f"encoding {name}"
            stored = self.store.get(self.namespace(name), keys, compute, _CHUNK_SIZE, label, progress)
            vectors = stored.pooled
            readable = ~np.isnan(vectors[:, 0])
            pooled[rows_with_value], present[rows_with_value] = np.nan_to_num(vectors), readable
            for i in rows_with_value[~readable]:
                problems[i] = f"{self.views[name].modality} of view {name!r} cannot be read"
            if self.model.fusion.reads_tokens:
                arrays["tokens"] = StoredTokens(stored, rows_with_value, len(values))
        return Prepared(arrays, present, problems)

    def namespace(self, name: str) -> str:
        """The namespace of a frozen view in the store: a hash of encoder weights and preprocessing."""
        if name not in self._namespaces:
            fingerprint = f"{self.model.fingerprint(name)}-{self.preprocessors[name].fingerprint}"
            tokens = f"-tokens{self.model.max_tokens}" if self.model.fusion.reads_tokens else ""
            self._namespaces[name] = fingerprint + tokens
        return self._namespaces[name]

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
                half = encoded.tokens.clamp(-_HALF_MAX, _HALF_MAX).half().cpu().numpy()
                mask = encoded.mask.cpu().numpy() & prepared.present[rows, None]
                tokens += [row[real] for row, real in zip(half, mask, strict=True)]
        vectors = np.concatenate(pooled)
        vectors[~prepared.present] = np.nan  # marks images that cannot be read
        temporary = np.array([is_temporary(prepared.problems.get(i, "")) for i in range(len(vectors))], bool)
        return Features(vectors, tokens if self.model.fusion.reads_tokens else None, temporary)


class StoredTokens:
    """Tokens of n rows in a feature store, read on demand.

    Args:
        stored: the stored rows.
        given: the rows that they belong to; the others have no tokens.
        n: number of rows.
    """

    def __init__(self, stored: StoredRows, present: np.ndarray, n: int) -> None:
        self.stored, self.position = stored, np.full(n, -1)
        self.position[present] = np.arange(len(present))

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The tokens (b, T, D) float16 of b rows and their mask (b, T), padded to the longest."""
        position = self.position[rows]
        length = np.where(position >= 0, self.stored.lengths[position], 0)
        width = max(int(length.max(initial=0)), 1)
        stored = self.stored.tokens(position[position >= 0], width)
        tokens = np.zeros((len(rows), *stored.shape[1:]), np.float16)
        tokens[position >= 0] = stored
        return tokens, np.arange(width) < length[:, None]


def take_encoded(arrays: Mapping[str, Any], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Some rows of the result of `InputPipeline.encoded`, as inputs of the network."""
    batch = {"pooled": arrays["pooled"][rows]}
    if "tokens" in arrays:
        batch["tokens"], batch["mask"] = arrays["tokens"].take(rows)
    return batch
