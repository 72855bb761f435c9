"""Predictions to a file, as JSON lines, CSV or Parquet by its ending: each row in, one row out, in order."""

import csv
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from aisle.decision import Prediction
from aisle.errors import AisleError

_ROWS_A_GROUP = 10_000


# The columns of a prediction, in every format.
SCHEMA = pa.schema(
    [
        *(pa.field(n, pa.string()) for n in ("id", "best", "best_id", "path", "path_id")),
        pa.field("confidence", pa.list_(pa.float64())),
        pa.field("decision", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("alternatives", pa.list_(pa.struct([("path", pa.string()), ("probability", pa.float64())]))),
        pa.field("problems", pa.list_(pa.string())),
        pa.field("model_id", pa.string()),
    ]
)


class OutputError(AisleError):
    """Predictions cannot be written there."""


class _Sink(Protocol):
    def write(self, rows: list[dict[str, Any]]) -> None: ...

    def close(self) -> None: ...


class _Jsonl:
    def __init__(self, file: Path) -> None:
        self.handle = file.open("w", encoding="utf-8", newline="\n")

    def write(self, rows: list[dict[str, Any]]) -> None:
        self.handle.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def close(self) -> None:
        self.handle.flush()
        os.fsync(self.handle.fileno())
        self.handle.close()


class _Csv:
    """Lists become ` | `-joined text: a spreadsheet's cell holds one value."""

    def __init__(self, file: Path) -> None:
        self.handle = file.open("w", encoding="utf-8", newline="")
        self.writer = csv.DictWriter(self.handle, SCHEMA.names)
        self.writer.writeheader()

    def write(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            flat = {
                **row,
                "confidence": " | ".join(str(c) for c in row["confidence"]),
                "alternatives": " | ".join(f"{a['path']} ({a['probability']})" for a in row["alternatives"]),
                "problems": " | ".join(row["problems"]),
            }
            self.writer.writerow(flat)

    def close(self) -> None:
        self.handle.flush()
        os.fsync(self.handle.fileno())
        self.handle.close()


class _Parquet:
    def __init__(self, file: Path) -> None:
        self.writer = pq.ParquetWriter(str(file), SCHEMA)

    def write(self, rows: list[dict[str, Any]]) -> None:
        self.writer.write_table(pa.Table.from_pylist(rows, SCHEMA))

    def close(self) -> None:
        self.writer.close()


SINKS: dict[str, Callable[[Path], _Sink]] = {".jsonl": _Jsonl, ".csv": _Csv, ".parquet": _Parquet}


def check_ending(file: Path) -> None:
    """Before any work is done for nothing.

    Raises:
        OutputError: the ending says no known format, or the folder does not exist.
    """
    if file.suffix.lower() not in SINKS:
        raise OutputError(f"{file}: predictions are written as {', '.join(SINKS)}; name a file ending in one")
    if not file.absolute().parent.is_dir():
        raise OutputError(f"{file}: folder {file.absolute().parent} does not exist")


def write_predictions(predictions: Iterable[Prediction], file: Path) -> int:
    """Write all of a stream, beside and then renamed: the file is whole or not there. Returns how many.

    Raises:
        OutputError: an unknown ending, or the disk refuses.
    """
    check_ending(file)
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}.part")
    written = 0
    try:
        with _opened(SINKS[file.suffix.lower()](beside)) as sink:
            rows: list[dict[str, Any]] = []
            for prediction in predictions:
                rows.append(prediction.to_dict())
                if len(rows) == _ROWS_A_GROUP:
                    sink.write(rows)
                    written += len(rows)
                    rows = []
            sink.write(rows)
            written += len(rows)
        beside.replace(file)
    except OSError as error:
        raise OutputError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)
    return written


@contextmanager
def whole_file(file: Path) -> Iterator[TextIO]:
    """Text to write, beside and then renamed: the file is whole and on disk, or as it was.

    Raises:
        OSError: the disk refuses.
    """
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _opened(sink: _Sink) -> Iterator[_Sink]:
    try:
        yield sink
    finally:
        sink.close()
