"""The folder of a bulk classification, local or in an object store.

part-00000.jsonl, …     the shards: one row per product, in order
_problems.jsonl         problems of all rows, written at the end
_summary.json           counts, written at the end
_aisle/run.json         the model, files and settings of the run
_aisle/shards/          a record per shard, which makes it count as written
_aisle/problems/        problems of each shard's rows

A shard is moved into place first, then its problems, then its record: if the process is killed in between,
the shard is written again with the same bytes. Names that begin with `_` are ignored by programs that read a
folder as one table (Arrow, Spark, DuckDB).
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aisle.atomic_files import check_parent_folder
from aisle.data.paths import is_remote, wrap_store_errors
from aisle.inference.bulk.locking import locked
from aisle.inference.bulk.shards import PROBLEMS, ShardRecord
from aisle.inference.prediction_files import OutputError, move, refusals, scratch_beside

_COPY_BYTES = 1 << 20  # bytes at once


class Folder:
    """The output folder, which one process at a time writes.

    Args:
        place: the folder.
        identity: what determines the output; a run is resumed only with an equal one.
    """

    def __init__(self, place: Path, identity: Mapping[str, Any]) -> None:
        self.place, self.identity = place, dict(identity)
        self.own = place / "_aisle"

    @contextmanager
    def writing(self) -> Iterator["Folder"]:
        """Create and lock the folder while the block runs.

        Raises:
            OutputError: another process writes it, it is a file, it holds something else, or it belongs to a
                run with another identity.
        """
        with wrap_store_errors(self.place, OutputError):
            self._set_up()
        with locked(self.own):
            self._begin()
            yield self

    def _set_up(self) -> None:
        if not is_remote(self.place):
            if self.place.is_file():
                raise OutputError(f"{self.place} is a file; name a folder")
            check_parent_folder(self.place, OutputError)
        existing = sorted(self._names())
        if existing and "_aisle" not in existing:
            raise OutputError(f"{self.place} already holds {existing[0]}; name a new folder")
        if not is_remote(self.place):
            with refusals(self.place):
                (self.own / "shards").mkdir(parents=True, exist_ok=True)
                (self.own / "problems").mkdir(exist_ok=True)

    def _names(self) -> list[str]:
        try:
            return [path.name for path in self.place.iterdir() if path.name.strip(".")]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _begin(self) -> None:
        """Write the identity of the run, or check that it is the same."""
        for left in () if is_remote(self.place) else self.own.glob(".*.part"):  # of a writer that was killed
            shutil.rmtree(left, ignore_errors=True)
        file = self.own / "run.json"
        text = json.dumps(self.identity, ensure_ascii=False, indent=1)
        before = self._read(file)
        if before is None:
            self._write(file, text)
            return
        current = json.loads(text)
        for name in {**before, **current}:
            if before.get(name) != current.get(name):
                raise OutputError(
                    f"{self.place} was begun with {_difference(name, before.get(name), current.get(name))}; "
                    "name another folder, or delete this one to begin again"
                )

    def _read(self, file: Path) -> Any:
        try:
            with wrap_store_errors(file, OutputError):
                return json.loads(file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{file} cannot be read ({error}); delete {self.place} to begin again"
            ) from error

    # -- shards -------------------------------------------------------------------------------

    def done(self) -> dict[int, ShardRecord]:
        """The finished shards by number, if their files have the recorded size."""
        sizes = {path.name: path.stat().st_size for path in self._parts()}
        completed: dict[int, ShardRecord] = {}
        with wrap_store_errors(self.place, OutputError):
            records = self._listed(self.own / "shards")
            for file in records:
                try:
                    record = ShardRecord.from_json(file.read_text("utf-8"))
                except (OSError, ValueError, TypeError):  # half-written by a store without whole writes
                    continue
                if sizes.get(record.file) == record.bytes:
                    completed[record.number] = record
        return completed

    def _parts(self) -> list[Path]:
        return [path for path in self._listed(self.place) if path.name.startswith("part-")]

    def _listed(self, folder: Path) -> list[Path]:
        try:
            return sorted(path for path in folder.iterdir() if path.name)
        except (FileNotFoundError, NotADirectoryError):
            return []

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary local folder for one shard."""
        with scratch_beside(self.own / "shard") as folder:
            yield folder

    def put(self, part: Path, data: bytes) -> None:
        """Write and sync a file of a shard that another process computed.

        Raises:
            OutputError: the file cannot be written.
        """
        with refusals(Path(part.name)), part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def commit(self, record: ShardRecord, written: Path) -> None:
        """Move a shard from the folder `written` to its final path.

        Raises:
            OutputError: a file cannot be written.
        """
        move(written / record.file, self.place / record.file)
        problems = written / PROBLEMS
        kept = self.own / "problems" / f"{record.number:05d}.jsonl"
        if problems.stat().st_size:
            move(problems, kept)
        self._write(self.own / "shards" / f"{record.number:05d}.json", record.to_json(), written)

    def finish(self, records: Mapping[int, ShardRecord], summary: Mapping[str, Any]) -> None:
        """Write the problems of all shards, and the summary.

        Raises:
            OutputError: a file cannot be written.
        """
        with self.scratch() as folder:
            part = folder / PROBLEMS
            with refusals(self.problems), part.open("wb") as out:
                for number in sorted(records):
                    for block in self._pieces(number):
                        out.write(block)
            move(part, self.problems)
            self._write(self.summary, json.dumps(summary, ensure_ascii=False, indent=1), folder)

    def _pieces(self, number: int) -> Iterator[bytes]:
        try:
            with (self.own / "problems" / f"{number:05d}.jsonl").open("rb") as file:
                while block := file.read(_COPY_BYTES):
                    yield block
        except FileNotFoundError:
            return

    @property
    def problems(self) -> Path:
        """The file with the problems of all rows."""
        return self.place / "_problems.jsonl"

    @property
    def summary(self) -> Path:
        """The file with the summary."""
        return self.place / "_summary.json"

    def _write(self, file: Path, text: str, folder: Path | None = None) -> None:
        """Write a small file under a temporary name, then move it."""
        if folder is None:
            with self.scratch() as scratch:
                self._write(file, text, scratch)
            return
        part = folder / "text"
        with refusals(file), part.open("w", encoding="utf-8", newline="\n") as out:
            out.write(text + "\n")
        move(part, file)


def _difference(name: str, before: Any, current: Any) -> str:
    """A difference of identities for a message: `model 12ab, not 34cd`."""
    if name == "files":
        old, new = ([item["name"] for item in files or ()] for files in (before, current))
        if old != new:
            return f"other files: {', '.join(old[:3])}, not {', '.join(new[:3])}"
        changed = [b["name"] for b, n in zip(before, current, strict=True) if b != n]
        return f"another content of {changed[0]}: it has changed since"
    if name == "format_version":
        return f"another version of Aisle (folder format {before}, now {current})"
    if isinstance(before, dict) and isinstance(current, dict):
        part = next(part for part in {**before, **current} if before.get(part) != current.get(part))
        return f"{name} {part} = {before.get(part)!r}, not {current.get(part)!r}"
    return f"{name.replace('_', ' ')} {before!r}, not {current!r}"
