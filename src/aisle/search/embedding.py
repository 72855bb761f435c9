"""Products as vectors of length 1, by the model that classifies them."""

import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aisle.data import Catalog, Product
from aisle.errors import SearchError
from aisle.progress import SILENT, Advance, Progress
from aisle.search.rows import EmbeddedBatch

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor

FORMATS = (".parquet", ".npz")


def modalities(model: "Predictor") -> dict[str, str]:
    """What each view of a model is: text, image or vector.

    Raises:
        SearchError: the model is an ensemble, whose members have a space each.
    """
    if not hasattr(model, "spec"):
        raise SearchError("an ensemble has no one space to search in: index with one of its members")
    return {view.name: view.modality for view in model.inputs}


def text_field(model: "Predictor") -> str:
    """The field in which a model looks for words: the title, unless its text views read others only."""
    views = model.inputs
    fields = [name for view in views if view.modality == "text" for name in view.fields]
    named = [name for name in fields if name != "*"]
    return "title" if "title" in named or not named else named[0]


def embed_batches(model: "Predictor", products: Iterable[Product]) -> Iterator[EmbeddedBatch]:
    """Products with their vectors and categories, a batch at a time. Where a product has no label, its
    category is the model's best answer; one of which the model reads nothing has a vector of zeros."""
    from aisle.inference.base_predictor import batched

    modalities(model)
    for batch in batched(products, model.batch):
        (scored,) = model.score_batches(batch)
        nodes = model.taxonomy.nodes
        best = [(nodes[node].path,) for node in scored.scores.best()]
        categories = [p.categories or guess for p, guess in zip(batch, best, strict=True)]
        yield EmbeddedBatch(batch, unit(scored.embedding * scored.present.any(1, keepdims=True)), categories)


class QueryVectors(NamedTuple):
    """The vectors (B, D) of queries; `why` says of each why it has none, or is blank."""

    vectors: np.ndarray
    why: list[str]


def embed_queries(model: "Predictor", products: Sequence[Product]) -> QueryVectors:
    """The vectors of queries, where they hold anything that the model reads."""
    views = ", ".join(f"{name} ({kind})" for name, kind in modalities(model).items())
    parts, why = [np.zeros((0, model.dim), np.float32)], []
    for scored in model.score_batches(products):
        parts.append(unit(scored.embedding))
        told = zip(scored.present, scored.problems, parts[-1], strict=True)
        for present, problems, vector in told:
            nothing = problems[0] if problems else f"the model reads {views}"
            unknown = "" if vector.any() else "the model knows none of its words"
            why.append(unknown if present.any() else nothing)
    return QueryVectors(np.concatenate(parts), why)


def unit(vectors: np.ndarray) -> np.ndarray:
    """The same, of length 1; zeros stay, and what is not finite becomes zeros."""
    finite = np.where(np.isfinite(vectors).all(1, keepdims=True), vectors, 0.0)
    return (finite / np.linalg.norm(finite, axis=1, keepdims=True).clip(min=1e-12)).astype(np.float32)


def check_out(out: Path) -> None:
    """Before any work is done for nothing.

    Raises:
        SearchError: the ending says no known format, or there is no such folder.
    """
    if out.suffix.lower() not in FORMATS:
        raise SearchError(f"{out}: vectors are written as {', '.join(FORMATS)}; name a file ending in one")
    if not out.absolute().parent.is_dir():
        raise SearchError(f"{out}: folder {out.absolute().parent} does not exist")


def write_vectors(
    model: "Predictor", catalog: Catalog, out: Path, progress: Progress = SILENT
) -> tuple[int, int]:
    """Every row's id and vector, in order, as Parquet (`id`, `vector`) or NumPy (`ids`, `vectors`): files
    that a catalog takes as vectors. Written beside and renamed. Returns rows and dimensions.

    Raises:
        SearchError: an unknown ending, no such folder, or the disk refuses.
    """
    check_out(out)
    modalities(model)
    dim = model.dim
    beside = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.part")
    rows = 0
    try:
        with beside.open("wb") as handle, progress("embedding", len(catalog)) as advance:
            batches = embed_batches(model, catalog)
            write = _parquet if out.suffix.lower() == ".parquet" else _npz
            rows = write(batches, handle, dim, advance)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(out)
    except OSError as error:
        raise SearchError(f"{out} cannot be written: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)
    return rows, dim


def _parquet(batches: Iterable[EmbeddedBatch], handle: BinaryIO, dim: int, advance: Advance) -> int:
    schema = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32(), dim))])
    rows = 0
    with pq.ParquetWriter(handle, schema) as writer:
        for products, vectors, _ in batches:
            column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dim)
            writer.write_table(pa.table([pa.array([p.id for p in products]), column], schema=schema))
            rows += len(products)
            advance(len(products))
    return rows


def _npz(batches: Iterable[EmbeddedBatch], handle: BinaryIO, dim: int, advance: Advance) -> int:
    ids: list[str] = []
    parts = [np.zeros((0, dim), np.float32)]
    for products, vectors, _ in batches:
        ids += [product.id for product in products]
        parts.append(vectors)
        advance(len(products))
    np.savez(handle, ids=np.array(ids, dtype=str), vectors=np.concatenate(parts))
    return len(ids)
