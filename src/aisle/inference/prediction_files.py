"""Writes predictions as JSON lines, CSV or Parquet: one row per product, in order."""

import csv
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from json.encoder import encode_basestring as _quoted  # pyright: ignore[reportUnknownVariableType]
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from aisle.data.paths import is_remote, store_errors
from aisle.errors import AisleError, first_line
from aisle.guarantee import Prediction
from aisle.taxonomy import CategoryPath, format_path

_ROWS_A_GROUP = 10_000  # of a Parquet file
_LINES = 512  # written at once

# The columns of a prediction, in every format.
SCHEMA = pa.schema(
    [
        *(pa.field(n, pa.string()) for n in ("id", "best", "best_id", "path", "path_id")),
        pa.field("confidence", pa.list_(pa.float64())),
        pa.field("decision", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("alternatives", pa.list_(pa.struct([("path", pa.string()), ("confidence", pa.float64())]))),
        pa.field("threshold", pa.float64()),
        pa.field("problems", pa.list_(pa.string())),
        pa.field("model_id", pa.string()),
    ]
)


class OutputError(AisleError):
    """Predictions cannot be written there."""


class _Sink(Protocol):
    at_once: int  # rows a call

    def write(self, rows: list[Prediction]) -> None: ...

    def close(self) -> None: ...


def _line(one: Prediction) -> str:
    """`json.dumps(one.to_dict(), ensure_ascii=False)` and a line feed, in half the time."""
    confidence = ", ".join([repr(round(c, 6)) for c in one.confidence])
    alternatives = ", ".join(
        [f'{{"path": {_quoted_path(path)}, "confidence": {round(c, 6)!r}}}' for path, c in one.alternatives]
    )
    threshold = "null" if one.threshold is None else repr(round(one.threshold, 6))
    return (
        f'{{"id": {_quoted(one.id)}, "best": {_quoted_path(one.best)}, "best_id": {_quoted(one.best_id)}, '
        f'"path": {_quoted_path(one.path)}, "path_id": {_quoted(one.path_id)}, '
        f'"confidence": [{confidence}], "decision": "{one.decision}", "reason": {_quoted(one.reason)}, '
        f'"alternatives": [{alternatives}], "threshold": {threshold}, '
        f'"problems": [{", ".join(map(_quoted, one.problems))}], '
        f'"model_id": {_quoted(one.model_id)}}}\n'
    )


@lru_cache(maxsize=65_536)
def _quoted_path(path: CategoryPath) -> str:
    return _quoted(format_path(path))


class _Jsonl:
    at_once = _LINES

    def __init__(self, file: Path) -> None:
        self.handle = file.open("w", encoding="utf-8", newline="\n")

    def write(self, rows: list[Prediction]) -> None:
        self.handle.writelines(map(_line, rows))

    def close(self) -> None:
        with self.handle:  # closed even where the disk refuses the rest
            self.handle.flush()
            os.fsync(self.handle.fileno())


class _Csv:
    """Lists become ` | `-joined text: a spreadsheet's cell holds one value."""

    at_once = _LINES

    def __init__(self, file: Path) -> None:
        self.handle = file.open("w", encoding="utf-8", newline="")
        self.writer = csv.DictWriter(self.handle, SCHEMA.names)
        self.writer.writeheader()

    def write(self, rows: list[Prediction]) -> None:
        for row in (prediction.to_dict() for prediction in rows):
            flat = {
                **row,
                "confidence": " | ".join(str(c) for c in row["confidence"]),
                "alternatives": " | ".join(f"{a['path']} ({a['confidence']})" for a in row["alternatives"]),
                "problems": " | ".join(row["problems"]),
            }
            self.writer.writerow(flat)

    def close(self) -> None:
        with self.handle:  # closed even where the disk refuses the rest
            self.handle.flush()
            os.fsync(self.handle.fileno())


class _Parquet:
    at_once = _ROWS_A_GROUP

    def __init__(self, file: Path) -> None:
        self.file, self.writer = file, pq.ParquetWriter(str(file), SCHEMA)

    def write(self, rows: list[Prediction]) -> None:
        self.writer.write_table(pa.Table.from_pylist([row.to_dict() for row in rows], SCHEMA))

    def close(self) -> None:
        self.writer.close()
        with self.file.open("rb") as written:
            os.fsync(written.fileno())


SINKS: dict[str, Callable[[Path], _Sink]] = {".jsonl": _Jsonl, ".csv": _Csv, ".parquet": _Parquet}


def check_output(file: Path) -> None:
    """Before any work is done for nothing.

    Raises:
        OutputError: the ending says no known format, or the folder does not exist.
    """
    if file.suffix.lower() not in SINKS:
        known = ", ".join(SINKS)
        raise OutputError(
            f"{file}: predictions are written as {known}; name a file ending in one, or a folder "
            f"({file.name}/)"
        )
    if not is_remote(file) and not file.absolute().parent.is_dir():
        raise OutputError(f"{file}: folder {file.absolute().parent} does not exist")


def write_predictions(predictions: Iterable[Prediction], file: Path) -> int:
    """Write all of a stream, beside and then renamed: the file is whole or not there. Returns how many.

    A file in an object store is written here first, and sent whole.

    Raises:
        OutputError: an unknown ending, or the disk or the store refuses.
    """
    check_output(file)
    with scratch_beside(file) as folder:
        part = folder / file.name
        written = write_whole(predictions, part, file)
        move(part, file)
    return written


def write_whole(predictions: Iterable[Prediction], file: Path, called: Path | None = None) -> int:
    """Write all of a stream to a file of this machine, through to the disk. Returns how many.

    called: what messages call it, where it will not stay.

    Raises:
        OutputError: the disk refuses.
    """
    written = 0
    with refusals(called or file), _opened(SINKS[file.suffix.lower()](file)) as sink:
        rows: list[Prediction] = []
        for prediction in predictions:
            rows.append(prediction)
            if len(rows) == sink.at_once:
                sink.write(rows)
                written += len(rows)
                rows = []
        sink.write(rows)
        written += len(rows)
    return written


@contextmanager
def refusals(place: Path, advice: str = "") -> Iterator[None]:
    """A disk or a store that refuses becomes one line.

    Raises:
        OutputError: it did.
    """
    try:
        yield
    except (OSError, *store_errors()) as error:
        why = getattr(error, "strerror", None) or first_line(error)
        raise OutputError(f"{place} cannot be written: {why}{advice}") from error


@contextmanager
def scratch_beside(file: Path) -> Iterator[Path]:
    """A folder of this machine that is gone afterwards; on the same disk as `file`, where that is here."""
    home = None if is_remote(file) else file.absolute().parent
    with refusals(file):
        made = Path(tempfile.mkdtemp(prefix=f".{file.name}.", suffix=".part", dir=home))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def move(part: Path, file: Path) -> None:
    """A whole file of this machine to its place: renamed, or sent. Nobody sees half of it.

    Raises:
        OutputError: the disk or the store refuses.
    """
    with refusals(file):
        if is_remote(file):
            store: Any = file
            store.fs.put_file(str(part), store.path)
            return
        part.replace(file)
        handle = os.open(file.parent, os.O_RDONLY)
        try:  # the name too is on disk
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _opened(sink: _Sink) -> Iterator[_Sink]:
    try:
        yield sink
    finally:
        sink.close()
