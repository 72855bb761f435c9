"""What some products and a model's answers to them look like, kept so that later ones can be compared."""

import io
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from aisle.data import Catalog, Product
from aisle.errors import AisleError
from aisle.evaluation.collect import chunks
from aisle.evaluation.drift.languages import language
from aisle.guarantee.predictions import STRANGE
from aisle.inference.classifier import Classifier
from aisle.models.views import View
from aisle.progress import SILENT, Progress
from aisle.taxonomy import format_path

MOST = 1500  # rows kept: enough for shares to within 2.5 points
WIDTH = 64  # dimensions of what is kept of an embedding, and of a row's words
WORDS = 20_000  # different words whose frequencies are kept
FILE = "reference.npz"
_WORD = re.compile(r"\w+")
_FORMAT = 1


@dataclass(frozen=True)
class Profile:
    """n rows. place: (n,) full path answered; confidence: (n,) of it; accepted, strange: (n,) bool; present:
    (n, V) bool of `views`; language: (n,); length: (n,) words; sketch: (n, WIDTH) of the words; embedding:
    (n, WIDTH), no columns where the model gives none; words: in how many of the rows each occurs."""

    model_id: str
    views: tuple[str, ...]
    place: np.ndarray
    confidence: np.ndarray
    accepted: np.ndarray
    strange: np.ndarray
    present: np.ndarray
    language: np.ndarray
    length: np.ndarray
    sketch: np.ndarray
    embedding: np.ndarray
    words: dict[str, int]

    def __len__(self) -> int:
        return len(self.place)

    @property
    def top(self) -> np.ndarray:
        """(n,) the top category of each answer."""
        return np.array([path.split(" > ")[0] for path in self.place.tolist()], dtype=object)

    def take(self, rows: np.ndarray) -> "Profile":
        """Some of the rows; each word is taken to occur in as large a share of them as of all."""
        mine = {name: getattr(self, name)[rows] for name in (*_ARRAYS, "place", "language")}
        share = len(mine["place"]) / max(len(self), 1)
        return replace(self, **mine, words={word: round(share * count) for word, count in self.words.items()})

    def save(self, file: Path) -> None:
        """One compressed file, without pickle; written beside and renamed.

        Raises:
            OSError: it cannot be written.
        """
        told = {"format": _FORMAT, "model_id": self.model_id, "views": self.views, "words": self.words}
        for name in ("place", "language"):
            told[name] = getattr(self, name).tolist()
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        out = io.BytesIO()
        np.savez_compressed(out, told=np.frombuffer(json.dumps(told).encode(), np.uint8), **arrays)
        beside = file.with_name(f".{file.name}.part")
        beside.write_bytes(out.getvalue())
        beside.replace(file)

    @classmethod
    def load(cls, file: Path) -> "Profile":
        """Read back what `save` wrote.

        Raises:
            AisleError: it is not there, damaged, or from a newer version.
        """
        try:
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as kept:
                told = json.loads(kept["told"].tobytes())
                arrays = {name: kept[name] for name in _ARRAYS}
        except FileNotFoundError:
            raise AisleError(f"{file} is not there") from None
        except Exception as error:  # whatever a damaged archive makes its readers raise
            raise AisleError(f"{file} is damaged ({type(error).__name__}): give --reference FILE") from error
        if told.pop("format") != _FORMAT:
            raise AisleError(f"{file} is from another version: give --reference FILE")
        lists = {name: np.array(told.pop(name), dtype=object) for name in ("place", "language")}
        return cls(**arrays, **lists, **{**told, "views": tuple(told["views"])})


_ARRAYS = ("confidence", "accepted", "strange", "present", "length", "sketch", "embedding")


def profile(classifier: Any, catalog: Catalog, progress: Progress = SILENT, seed: int = 0) -> Profile:
    """Of all rows that are not faulty, or of `MOST` drawn by chance.

    Raises:
        AisleError: there is no such row, or the classifier decides nothing.
    """
    rows = np.flatnonzero(~catalog.fatal)
    if not len(rows):
        raise AisleError(
            f"none of the {len(catalog):,} rows can be answered: all are faulty, or there are none"
        )
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST, replace=False))
    views, embed = looked_at(classifier), getattr(classifier, "embed", None)
    answers: list[Any] = []
    joint, present, texts = [], [], []
    with progress("looking at what it answers", len(rows)) as advance:
        for some in chunks(catalog, rows):
            answers += classifier.predict(some)
            if embed is not None:
                joint.append(projected(embed(some)))
            present += [[view.value(product) is not None for view in views] for product in some]
            texts += [_text(product) for product in some]
            advance(len(some))
    split = [_WORD.findall(text.casefold()) for text in texts]
    counts: dict[str, int] = {}
    for words in split:
        for word in set(words):
            counts[word] = counts.get(word, 0) + 1
    often = sorted(counts, key=lambda word: (-counts[word], word))[:WORDS]
    return Profile(
        model_id=classifier.model_id,
        views=tuple(view.name for view in views),
        place=np.array([format_path(a.best) for a in answers], dtype=object),
        confidence=np.array([a.confidence[-1] if a.confidence else 0.0 for a in answers]),
        accepted=np.array([a.decision == "accept" for a in answers]),
        strange=np.array([STRANGE in a.problems for a in answers]),
        present=np.array(present, dtype=bool).reshape(len(rows), len(views)),
        language=np.array([language(text) for text in texts], dtype=object),
        length=np.array([len(words) for words in split]),
        sketch=np.stack([_sketch(words) for words in split]),
        embedding=np.concatenate(joint) if joint else np.zeros((len(rows), 0), np.float32),
        words={word: counts[word] for word in often},
    )


def looked_at(classifier: Classifier) -> list[View]:
    """The views that a model, or the members of an ensemble, take from a product."""
    found: dict[str, View] = {}
    for member in getattr(classifier, "members", (classifier,)):
        own = getattr(member, "inputs", None) or [View(v, "text", (v,)) for v in member.views]
        found |= {view.name: view for view in own if view.name not in found}
    return list(found.values())


def projected(vectors: np.ndarray) -> np.ndarray:
    """(n, D) -> (n, WIDTH) by a fixed random projection, of unit rows; distances survive within a tenth."""
    if vectors.shape[1] > WIDTH:
        draw = np.random.default_rng(vectors.shape[1]).standard_normal((vectors.shape[1], WIDTH))
        vectors = vectors @ (draw / WIDTH**0.5)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


def _text(product: Product) -> str:
    return "\n".join(product.fields.values()).encode("utf-8", "replace").decode()


def _sketch(words: list[str]) -> np.ndarray:
    """(WIDTH,) hashed signs of the different words, of length 1."""
    import zlib

    out = np.zeros(WIDTH, np.float32)
    for word in set(words):
        hashed = zlib.crc32(word.encode())
        out[hashed % WIDTH] += 1.0 if hashed >> 16 & 1 else -1.0
    return out / (np.linalg.norm(out) or 1.0)
