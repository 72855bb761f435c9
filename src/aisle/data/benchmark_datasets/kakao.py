"""Kakao Arena shopping classification: HDF5 chunks of titles, makers and image vectors; four levels.

Chunks are read in slices, and each file is opened once. The id of a category is its four numbers,
`b.m.s.d`, which submissions need.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from aisle.data.batch_source import BatchSource
from aisle.data.batches import VECTOR
from aisle.data.benchmark_datasets.submission import write_lines
from aisle.data.catalog import Catalog
from aisle.data.problems import Problems
from aisle.data.reading import read
from aisle.errors import CatalogError, extra
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Node, Taxonomy

PHASES = ("train", "dev", "test")
LEVELS = ("b", "m", "s", "d")
_SLICE = 4096  # records; 32 MiB of image vectors
_TEXT = ("pid", "product", "brand", "model", "maker", "updttm")
_VECTOR = "img_feat"
_MISSING = -1


def kakao(
    folder: str | Path, phase: str = "train", *, vectors: bool = True, progress: Progress = SILENT
) -> Catalog:
    """Read one phase from `train.chunk.01`, `dev.chunk.01`, … and the category names in `cate1.json`.

    The catalog has the fields `title` (named `product` in the file), `brand`, `model`, `maker` and
    `price`, and the vector `img_feat` of 2,048 numbers, missing where all are 0.

    Args:
        folder: The folder of the files.
        phase: `train`, `dev` or `test`.
        vectors: Read the vectors (66 GB for the 8.1 million training products).
        progress: Reports progress.

    Raises:
        CatalogError: There is no such phase or chunk, or a chunk is malformed.
        MissingExtraError: h5py is not installed.
    """
    if phase not in PHASES:
        raise CatalogError(f"kakao has no phase {phase!r}; it has {', '.join(PHASES)}")
    home = Path(folder)
    chunks = sorted(home.glob(f"{phase}.chunk.*"))
    if not chunks:
        raise CatalogError(f"{home}: no {phase}.chunk.01; name the folder of the HDF5 chunks")
    seen: set[str] = set()
    columns = {
        "id": "pid",
        "title": "product",
        "category": "category",
        "fields": ("brand", "model", "maker", "price"),
        "vectors": (_VECTOR,) if vectors else (),
        "ignored": ("updttm",),
        "delimiter": "",
        **dict.fromkeys(("description", "split", "weight", "date", "group"), ""),
        "images": (),
    }
    stream = BatchSource(
        f"kakao {phase}",
        lambda problems: _chunks(chunks, phase, vectors, seen, problems),
        lambda: _tree(seen, _names(home)),
        columns,
        home,
    )
    return read(stream, progress=progress)


def _chunks(
    chunks: list[Path], phase: str, vectors: bool, seen: set[str], problems: Problems
) -> Iterator[pa.RecordBatch]:
    h5py = extra("h5py", "hdf5", "reading kakao")
    first = 1
    for path in chunks:
        try:
            with h5py.File(path, "r") as file:
                group = file[phase] if phase in file else file[next(iter(file))]
                size = len(group["pid"])
                for start in range(0, size, _SLICE):
                    part = slice(start, min(start + _SLICE, size))
                    yield _batch(group, part, vectors, seen, problems, first + start)
                first += size
        except (OSError, KeyError, StopIteration, AttributeError, ValueError) as error:
            raise CatalogError(
                f"{path}: not a chunk of this data set: {str(error).splitlines()[0]}"
            ) from error


def _batch(
    group: Any, part: slice, vectors: bool, seen: set[str], problems: Problems, row: int
) -> pa.RecordBatch:
    columns: dict[str, pa.Array] = {}
    for name in _TEXT:
        if name in group:
            columns[name] = _decoded(group[name][part])
    if "price" in group:
        columns["price"] = pa.array(
            [str(p) if p >= 0 else None for p in group["price"][part].tolist()], pa.string()
        )
    labels = _labels(group, part, problems, row)
    seen.update(label for label in labels if label)
    columns["category"] = pa.array(labels, pa.string())
    if vectors and _VECTOR in group:
        columns[_VECTOR] = _vectors(np.asarray(group[_VECTOR][part], dtype=np.float32))
    return pa.record_batch(list(columns.values()), names=list(columns))


def _decoded(values: np.ndarray) -> pa.Array:
    text = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.tolist()]
    return pa.array(text, pa.string())


def _vectors(values: np.ndarray) -> pa.Array:
    """One list per row; null where all numbers are 0 (no image)."""
    given = values.any(1)
    kept = values[given]
    offsets = np.concatenate([[0], np.cumsum(np.where(given, values.shape[1], 0))]).astype(np.int32)
    arrays = pa.ListArray.from_arrays(offsets, pa.array(kept.ravel()), mask=pa.array(~given))
    return arrays.cast(VECTOR)


def _labels(group: Any, part: slice, problems: Problems, row: int) -> list[str | None]:
    """`b.m.s.d` of each record; None without labels (dev and test)."""
    names = [f"{level}cateid" for level in LEVELS]
    if any(name not in group for name in names):
        return [None] * (part.stop - part.start)
    ids = np.stack([np.asarray(group[name][part], dtype=np.int64) for name in names], 1)  # (n, 4)
    known = ids != _MISSING
    for i in np.flatnonzero((known[:, 1:] & ~known[:, :-1]).any(1)):
        problems.add(
            row + int(i),
            "category",
            "a level above a given one is missing; the levels above it are read",
            str(ids[i]),
        )
    depth = known.cumprod(1).sum(1)  # levels from the top that are given
    ids = np.where(np.arange(4) < depth[:, None], ids, _MISSING)
    return [".".join(map(str, path)) if path[0] != _MISSING else None for path in ids.tolist()]


def _names(home: Path) -> list[dict[int, str]]:
    """Per level: id -> name, from `cate1.json`; empty without that file."""
    file = home / "cate1.json"
    if not file.exists():
        return [{} for _ in LEVELS]
    try:
        data = json.loads(file.read_text("utf-8"))
        return [{int(i): str(name) for name, i in data.get(level, {}).items()} for level in LEVELS]
    except (OSError, ValueError, AttributeError) as error:
        raise CatalogError(f"{file}: not the category names of this data set: {error}") from error


def _tree(seen: set[str], names: list[dict[int, str]]) -> Taxonomy | None:
    """The tree of these paths of ids; None without any."""
    ends = {tuple(int(i) for i in text.split(".") if int(i) != _MISSING) for text in seen}
    paths = sorted({path[:depth] for path in ends for depth in range(1, len(path) + 1)})
    named: dict[tuple[int, ...], tuple[str, ...]] = {(): ()}
    taken: set[tuple[str, ...]] = set()
    nodes = []
    for path in paths:
        level = len(path) - 1
        name = names[level].get(path[-1], "").strip() or f"{LEVELS[level]} {path[-1]}"
        full = (*named[path[:-1]], name)
        if full in taken:  # two ids with one name and one parent
            full = (*full[:-1], f"{name} ({path[-1]})")
        taken.add(full)
        named[path] = full
        own = ".".join(map(str, (*path, *[_MISSING] * (4 - len(path)))))
        nodes.append(Node(own, full, path in ends))
    return Taxonomy(nodes) if nodes else None


def write_submission(catalog: Catalog, predictions: Iterable[Any], file: Path) -> int:
    """Write `pid, b, m, s, d`, tab-separated, without a header; -1 where there is no level.

    Args:
        catalog: The rows.
        predictions: One per row, in order.
        file: The output file.

    Raises:
        CatalogError: As `aisle.data.benchmark_datasets.write_submission`.
    """

    def line(record: dict[str, Any], prediction: Any) -> str:
        ids = prediction.best_id.split(".")
        if len(ids) != len(LEVELS) or not all(i.lstrip("-").isdigit() for i in ids):
            raise CatalogError(
                f"category {prediction.best_id!r} is not one of this data set: train the model on "
                f"kakao:FOLDER"
            )
        return "\t".join([str(record["pid"]), *ids]) + "\n"

    return write_lines(catalog, predictions, file, line)
