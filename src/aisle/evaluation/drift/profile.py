"""Profile of products and of a model's predictions for them, saved so that later products can be compared."""

import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from aisle.atomic_files import atomic_binary
from aisle.data import Catalog, Product
from aisle.errors import AisleError
from aisle.evaluation.collect import product_batches
from aisle.evaluation.drift.languages import language
from aisle.guarantee import Prediction
from aisle.guarantee.predictions import OOD_MESSAGE
from aisle.inference.classifier import Classifier
from aisle.models.views import View
from aisle.progress import SILENT, Progress
from aisle.taxonomy import format_path

MAX_ROWS = 1500  # rows kept: enough for a share to be known to within 2.5 points
WIDTH = 64  # dimensions of the projected embedding, and of the hashed words
WORDS = 20_000  # words whose counts are kept, the most frequent ones
FILE = "reference.npz"
_WORD = re.compile(r"\w+")
_FORMAT = 2


@dataclass(frozen=True)
class Profile:
    """n products and their predictions.

    Attributes:
        model_id: The model that predicted.
        views: Names of the V views that the model reads.
        path: (n,) predicted full paths, levels joined by ` > `.
        confidence: (n,) calibrated confidence in `path`, 0 to 1.
        accepted: (n,) bool, the full path was accepted.
        partial: (n,) bool, a branch was decided.
        ood: (n,) bool, the product was found to fit no known category.
        present: (n, V) bool, the product has the view.
        language: (n,) what `language` returns.
        length: (n,) words in all texts of the product.
        sketch: (n, WIDTH) feature-hashed words, unit length.
        embedding: (n, WIDTH) projected embedding, unit length; (n, 0) where the model has none.
        words: The most frequent words, each with the number of products that contain it.
    """

    model_id: str
    views: tuple[str, ...]
    path: np.ndarray
    confidence: np.ndarray
    accepted: np.ndarray
    partial: np.ndarray
    ood: np.ndarray
    present: np.ndarray
    language: np.ndarray
    length: np.ndarray
    sketch: np.ndarray
    embedding: np.ndarray
    words: dict[str, int]

    def __len__(self) -> int:
        return len(self.path)

    @property
    def top(self) -> np.ndarray:
        """(n,) the top category of each prediction."""
        return np.array([path.split(" > ")[0] for path in self.path.tolist()], dtype=object)

    def select(self, rows: np.ndarray) -> "Profile":
        """Some of the products, by index or mask. Word counts are scaled to their share, not recounted."""
        arrays = {name: getattr(self, name)[rows] for name in (*_ARRAYS, "path", "language")}
        share = len(arrays["path"]) / max(len(self), 1)
        return replace(
            self, **arrays, words={word: round(share * count) for word, count in self.words.items()}
        )

    def save(self, file: Path) -> None:
        """Write one compressed `.npz` file, without pickle, atomically.

        Raises:
            OSError: The file cannot be written.
        """
        header = {"format": _FORMAT, "model_id": self.model_id, "views": self.views, "words": self.words}
        for name in ("path", "language"):
            header[name] = getattr(self, name).tolist()
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)
        with atomic_binary(file) as handle:
            handle.write(buffer.getvalue())

    @classmethod
    def load(cls, file: Path) -> "Profile":
        """Read what `save` wrote.

        Raises:
            AisleError: The file is missing, damaged, or of another version.
        """
        try:
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as file_arrays:
                header = json.loads(file_arrays["header"].tobytes())
                arrays = {name: file_arrays[name] for name in _ARRAYS}
        except FileNotFoundError:
            raise AisleError(f"{file} does not exist") from None
        except Exception as error:  # a damaged archive raises many types
            raise AisleError(f"{file} is damaged ({type(error).__name__}): give --reference FILE") from error
        if header.pop("format") != _FORMAT:
            raise AisleError(f"{file} is from another version: give --reference FILE")
        lists = {name: np.array(header.pop(name), dtype=object) for name in ("path", "language")}
        return cls(**arrays, **lists, **{**header, "views": tuple(header["views"])})


_ARRAYS = ("confidence", "accepted", "partial", "ood", "present", "length", "sketch", "embedding")


def profile(classifier: Any, catalog: Catalog, progress: Progress = SILENT, seed: int = 0) -> Profile:
    """The profile of a catalog's rows that are not faulty; of more than `MAX_ROWS`, of a random sample.

    Predictions are the model's own: rules that are set or removed are no change of the products.

    Raises:
        AisleError: The catalog has no such row, or the classifier makes no decisions.
    """
    rows = np.flatnonzero(~catalog.fatal)
    if not len(rows):
        raise AisleError(
            f"none of the {len(catalog):,} rows can be classified: all are faulty, or there are none"
        )
    if len(rows) > MAX_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_ROWS, replace=False))
    if getattr(classifier, "rules", None) is not None:
        classifier = classifier.with_rules(None)
    embed = getattr(classifier, "embed", None)
    predictions: list[Prediction] = []
    embeddings: list[np.ndarray] = []
    with progress("predicting", len(rows)) as advance:
        for batch in product_batches(catalog, rows):
            predictions += classifier.predict(batch)
            if embed is not None:
                embeddings.append(embed(batch))
            advance(len(batch))
    embedding = np.concatenate(embeddings) if embeddings else np.zeros((len(rows), 0), np.float32)
    return profile_of(classifier, catalog.select(rows), predictions, embedding)


def profile_of(
    classifier: Any, catalog: Catalog, predictions: Sequence[Prediction], embedding: np.ndarray
) -> Profile:
    """The profile of n rows whose predictions are known.

    Args:
        classifier: The model that is profiled.
        catalog: The n rows.
        predictions: n of them.
        embedding: (n, D), D = 0 where the model has none.
    """
    views = views_of(classifier)
    present = [[view.value(product) is not None for view in views] for product in catalog]
    texts = [_text(product) for product in catalog]
    tokens = [_WORD.findall(text.casefold()) for text in texts]
    counts = Counter(word for words in tokens for word in set(words))
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[:WORDS]
    return Profile(
        model_id=classifier.model_id,
        views=tuple(view.name for view in views),
        path=np.array([format_path(p.best) for p in predictions], dtype=object),
        confidence=np.array([p.confidence[-1] if p.confidence else 0.0 for p in predictions]),
        accepted=np.array([p.decision == "accept" for p in predictions]),
        partial=np.array([p.decision == "partial" for p in predictions]),
        ood=np.array([OOD_MESSAGE in p.problems for p in predictions]),
        present=np.array(present, dtype=bool).reshape(len(texts), len(views)),
        language=np.array([language(text) for text in texts], dtype=object),
        length=np.array([len(words) for words in tokens]),
        sketch=np.stack([_sketch(words) for words in tokens]),
        embedding=projected(embedding),
        words={word: counts[word] for word in frequent},
    )


def views_of(classifier: Classifier) -> list[View]:
    """The views that a model, or any member of an ensemble, reads."""
    views: dict[str, View] = {}
    for member in getattr(classifier, "members", (classifier,)):
        member_views = getattr(member, "inputs", None) or [View(v, "text", (v,)) for v in member.views]
        views |= {view.name: view for view in member_views if view.name not in views}
    return list(views.values())


def projected(vectors: np.ndarray) -> np.ndarray:
    """(n, D) to (n, WIDTH) unit rows, by a fixed Gaussian random projection."""
    if vectors.shape[1] > WIDTH:
        projection = np.random.default_rng(vectors.shape[1]).standard_normal((vectors.shape[1], WIDTH))
        vectors = vectors @ (projection / WIDTH**0.5)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


def _text(product: Product) -> str:
    return "\n".join(product.fields.values()).encode("utf-8", "replace").decode()


def _sketch(words: list[str]) -> np.ndarray:
    """(WIDTH,) the distinct words, feature-hashed with signs, scaled to unit length."""
    import zlib

    vector = np.zeros(WIDTH, np.float32)
    for word in set(words):
        hashed = zlib.crc32(word.encode())
        vector[hashed % WIDTH] += 1.0 if hashed >> 16 & 1 else -1.0
    return vector / (np.linalg.norm(vector) or 1.0)
