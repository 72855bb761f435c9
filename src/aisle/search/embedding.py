"""Unit vectors of products, computed by a classification model."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aisle.atomic_files import atomic_binary, check_parent_folder, wrap_write_errors
from aisle.data import Catalog, Product
from aisle.errors import SearchError
from aisle.progress import SILENT, Advance, Progress
from aisle.search.rows import EmbeddedBatch

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor

FORMATS = (".parquet", ".npz")


def modalities(model: "Predictor") -> dict[str, str]:
    """Modality of each view of a model, by name: text, image or vector.

    Raises:
        SearchError: The model is an ensemble, whose members have different vector spaces.
    """
    if not hasattr(model, "spec"):
        raise SearchError("an ensemble has no one space to search in: index with one of its members")
    return {view.name: view.modality for view in model.inputs}


def text_field(model: "Predictor") -> str:
    """Field that a model reads words from: the title, unless its text views read only others."""
    views = model.inputs
    fields = [name for view in views if view.modality == "text" for name in view.fields]
    named = [name for name in fields if name != "*"]
    return "title" if "title" in named or not named else named[0]


def embed_batches(model: "Predictor", products: Iterable[Product]) -> Iterator[EmbeddedBatch]:
    """Compute the vectors and categories of products, in batches.

    A product without a label gets the model's best category. One that the model can read nothing of gets a
    vector of zeros.

    Args:
        model: The model.
        products: The products.
    """
    from aisle.inference.batches import batched

    modalities(model)
    for batch in batched(products, model.batch):
        (scored,) = model.score_batches(batch)
        nodes = model.taxonomy.nodes
        best = [(nodes[node].path,) for node in scored.scores.best()]
        categories = [p.categories or guess for p, guess in zip(batch, best, strict=True)]
        yield EmbeddedBatch(batch, unit(scored.embedding * scored.present.any(1, keepdims=True)), categories)


class QueryVectors(NamedTuple):
    """Vectors of B queries.

    Attributes:
        vectors: (B, D) float32.
        problems: Why a query has no vector; empty if it has one.
    """

    vectors: np.ndarray
    problems: list[str]


def embed_queries(model: "Predictor", products: Sequence[Product]) -> QueryVectors:
    """Compute the vectors of queries.

    Args:
        model: The model.
        products: The queries.
    """
    views = ", ".join(f"{name} ({kind})" for name, kind in modalities(model).items())
    batches, query_problems = [np.zeros((0, model.dim), np.float32)], []
    for scored in model.score_batches(products):
        vectors = unit(scored.embedding)
        batches.append(vectors)
        for present, problems, vector in zip(scored.present, scored.problems, vectors, strict=True):
            unread = problems[0] if problems else f"the model reads {views}"
            unknown = "" if vector.any() else "the model knows none of its words"
            query_problems.append(unknown if present.any() else unread)
    return QueryVectors(np.concatenate(batches), query_problems)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale rows to length 1; rows of zeros stay, rows with infinite or NaN values become zeros.

    Args:
        vectors: (B, D).

    Returns:
        (B, D) float32.
    """
    finite = np.where(np.isfinite(vectors).all(1, keepdims=True), vectors, 0.0)
    return (finite / np.linalg.norm(finite, axis=1, keepdims=True).clip(min=1e-12)).astype(np.float32)


def check_out(out: Path) -> None:
    """Check that vectors can be written to a path.

    Raises:
        SearchError: The ending is of no known format, or the folder does not exist.
    """
    if out.suffix.lower() not in FORMATS:
        raise SearchError(f"{out}: vectors are written as {', '.join(FORMATS)}; name a file ending in one")
    check_parent_folder(out, SearchError)


def write_vectors(
    model: "Predictor", catalog: Catalog, out: Path, progress: Progress = SILENT
) -> tuple[int, int]:
    """Write the id and vector of every row, in order, to a file that a catalog can read as vectors.

    Args:
        model: Model to compute the vectors with.
        catalog: The products.
        out: Parquet file (columns `id`, `vector`) or NumPy archive (arrays `ids`, `vectors`).
        progress: Progress reporting.

    Returns:
        Number of rows and width of a vector.

    Raises:
        SearchError: Unknown ending, no such folder, or a write failed.
    """
    check_out(out)
    modalities(model)
    dim = model.dim
    with (
        wrap_write_errors(out, SearchError),
        atomic_binary(out) as handle,
        progress("embedding", len(catalog)) as advance,
    ):
        batches = embed_batches(model, catalog)
        write = _parquet if out.suffix.lower() == ".parquet" else _npz
        rows = write(batches, handle, dim, advance)
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
    arrays = [np.zeros((0, dim), np.float32)]
    for products, vectors, _ in batches:
        ids += [product.id for product in products]
        arrays.append(vectors)
        advance(len(products))
    np.savez(handle, ids=np.array(ids, dtype=str), vectors=np.concatenate(arrays))
    return len(ids)
