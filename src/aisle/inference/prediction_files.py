"""Writes predictions as JSON lines, CSV or Parquet: one row per product, in order."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain, repeat
from json.encoder import encode_basestring as _quoted  # pyright: ignore[reportUnknownVariableType]
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from aisle.atomic_files import check_parent_folder
from aisle.data.paths import is_remote, store_errors
from aisle.errors import AisleError, first_line
from aisle.guarantee import Prediction
from aisle.inference.prediction_table import PredictionTable
from aisle.taxonomy import CategoryPath, format_path

_ROWS_PER_GROUP = 10_000  # of a Parquet file
_LINES = 512  # written at once

# The columns of a Parquet file; JSON lines have the same keys.
SCHEMA = pa.schema(
    [
        *(pa.field(n, pa.string()) for n in ("id", "best", "best_id", "path", "path_id")),
        pa.field("confidence", pa.list_(pa.float64())),
        pa.field("decision", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("rule", pa.string()),
        pa.field("alternatives", pa.list_(pa.struct([("path", pa.string()), ("confidence", pa.float64())]))),
        pa.field("threshold", pa.float64()),
        pa.field("problems", pa.list_(pa.string())),
        pa.field("model_id", pa.string()),
    ]
)


class OutputError(AisleError):
    """Predictions cannot be written to this path."""


class _Sink(Protocol):
    batch_size: int  # rows per call of `write`

    def write(self, rows: list[Prediction], titles: Sequence[str]) -> None: ...

    def close(self) -> None: ...


def _line(prediction: Prediction) -> str:
    """`json.dumps(one.to_dict(), ensure_ascii=False)` and a line feed, in half the time."""
    confidence = ", ".join([repr(round(c, 6)) for c in prediction.confidence])
    alternatives = ", ".join(
        [
            f'{{"path": {_quoted_path(path)}, "confidence": {round(c, 6)!r}}}'
            for path, c in prediction.alternatives
        ]
    )
    threshold = "null" if prediction.threshold is None else repr(round(prediction.threshold, 6))
    return (
        f'{{"id": {_quoted(prediction.id)}, "best": {_quoted_path(prediction.best)}, '
        f'"best_id": {_quoted(prediction.best_id)}, '
        f'"path": {_quoted_path(prediction.path)}, "path_id": {_quoted(prediction.path_id)}, '
        f'"confidence": [{confidence}], "decision": "{prediction.decision}", '
        f'"reason": {_quoted(prediction.reason)}, '
        f'"rule": {_quoted(prediction.rule)}, '
        f'"alternatives": [{alternatives}], "threshold": {threshold}, '
        f'"problems": [{", ".join(map(_quoted, prediction.problems))}], '
        f'"model_id": {_quoted(prediction.model_id)}}}\n'
    )


@lru_cache(maxsize=65_536)
def _quoted_path(path: CategoryPath) -> str:
    return _quoted(format_path(path))


class _TextFile:
    batch_size = _LINES

    def __init__(self, file: Path, newline: str) -> None:
        self.handle = file.open("w", encoding="utf-8", newline=newline)

    def close(self) -> None:
        with self.handle:  # closed even where the disk refuses the rest
            self.handle.flush()
            os.fsync(self.handle.fileno())


class _Jsonl(_TextFile):
    def __init__(self, file: Path, levels: int) -> None:
        super().__init__(file, "\n")

    def write(self, rows: list[Prediction], titles: Sequence[str]) -> None:
        self.handle.writelines(map(_line, rows))


class _Csv(_TextFile):
    def __init__(self, file: Path, levels: int) -> None:
        super().__init__(file, "")
        self.table = PredictionTable(self.handle, levels)

    def write(self, rows: list[Prediction], titles: Sequence[str]) -> None:
        self.table.write(rows, titles)


class _Parquet:
    batch_size = _ROWS_PER_GROUP

    def __init__(self, file: Path, levels: int) -> None:
        self.file, self.writer = file, pq.ParquetWriter(str(file), SCHEMA)

    def write(self, rows: list[Prediction], titles: Sequence[str]) -> None:
        self.writer.write_table(pa.Table.from_pylist([row.to_dict() for row in rows], SCHEMA))

    def close(self) -> None:
        self.writer.close()
        with self.file.open("rb") as written:
            os.fsync(written.fileno())


SINKS: dict[str, Callable[[Path, int], _Sink]] = {".jsonl": _Jsonl, ".csv": _Csv, ".parquet": _Parquet}


def check_output(file: Path) -> None:
    """Check that predictions can be written to a file, before they are computed.

    Args:
        file: The output file.

    Raises:
        OutputError: Its ending is unknown, or its folder does not exist.
    """
    if file.suffix.lower() not in SINKS:
        known = ", ".join(SINKS)
        if file.suffix.lower() in (".xlsx", ".xls", ".ods"):
            table = file.with_suffix(".csv").name
            raise OutputError(
                f"{file}: predictions are written as {known}, not as a workbook; name a file ending in one: "
                f"{table} opens in Excel"
            )
        raise OutputError(
            f"{file}: predictions are written as {known}; name a file ending in one, or a folder "
            f"({file.name}/)"
        )
    if not is_remote(file):
        check_parent_folder(file, OutputError)


def write_predictions(
    predictions: Iterable[Prediction],
    file: Path,
    titles: Iterable[str] | None = None,
    levels: int | None = None,
) -> int:
    """Write a stream of predictions to a file, under a temporary name that is then renamed.

    A file in an object store is written on this machine first, and sent whole.

    Args:
        predictions: The predictions.
        file: The output file: .jsonl, .csv or .parquet.
        titles: Titles of the products, for CSV. Default: blank.
        levels: The number of levels of the tree, for CSV. Default: as many as the longest path has, for which
            all predictions are held in memory.

    Returns:
        The number of predictions.

    Raises:
        OutputError: The ending is unknown, or the disk or the store refuses.
    """
    check_output(file)
    with scratch_beside(file) as folder:
        part = folder / file.name
        written = write_whole(predictions, part, file, titles, levels)
        move(part, file)
    return written


def write_whole(
    predictions: Iterable[Prediction],
    file: Path,
    shown_path: Path | None = None,
    titles: Iterable[str] | None = None,
    levels: int | None = None,
) -> int:
    """Write a stream of predictions to a file on this machine, synced to disk.

    Args:
        predictions: The predictions.
        file: The file.
        shown_path: Its name in messages, if it is renamed later.
        titles: As in `write_predictions`.
        levels: As in `write_predictions`.

    Returns:
        The number of predictions.

    Raises:
        OutputError: The disk refuses.
    """
    suffix = file.suffix.lower()
    if levels is None and suffix == ".csv":
        predictions = list(predictions)
        levels = max((len(prediction_.best) for prediction_ in predictions), default=1)
    names = repeat("") if titles is None else chain(titles, repeat(""))
    written = 0
    with refusals(shown_path or file), _opened(SINKS[suffix](file, levels or 1)) as sink:
        rows: list[Prediction] = []
        texts: list[str] = []
        for prediction, title in zip(predictions, names, strict=False):
            rows.append(prediction)
            texts.append(title)
            if len(rows) == sink.batch_size:
                sink.write(rows, texts)
                written += len(rows)
                rows, texts = [], []
        sink.write(rows, texts)
        written += len(rows)
    return written


@contextmanager
def refusals(place: Path) -> Iterator[None]:
    """Turn errors of a disk or an object store into one line.

    Args:
        place: The file or folder that is written.

    Raises:
        OutputError: The disk or the store refuses.
    """
    try:
        yield
    except (OSError, *store_errors()) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise OutputError(f"{place} cannot be written: {reason}") from error


@contextmanager
def scratch_beside(file: Path) -> Iterator[Path]:
    """A temporary folder on this machine, on the disk of `file` if that is local."""
    parent = None if is_remote(file) else file.absolute().parent
    with refusals(file):
        folder = Path(tempfile.mkdtemp(prefix=f".{file.name}.", suffix=".part", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move(part: Path, file: Path) -> None:
    """Rename a file of this machine, or send it to an object store, so that no partial file is visible.

    Args:
        part: The complete file.
        file: Its final path.

    Raises:
        OutputError: The disk or the store refuses.
    """
    with refusals(file):
        if is_remote(file):
            store: Any = file
            store.fs.put_file(str(part), store.path)
            return
        part.replace(file)
        handle = os.open(file.parent, os.O_RDONLY)
        try:  # the name is synced too
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _opened(sink: _Sink) -> Iterator[_Sink]:
    try:
        yield sink
    finally:
        sink.close()
