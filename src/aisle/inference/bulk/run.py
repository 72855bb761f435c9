"""Classifies a source of any length into a folder of shards; an interrupted run is resumed."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.data.chunks import ChunkReader, Chunks
from aisle.data.paths import is_remote, wrap_store_errors
from aisle.errors import AisleError
from aisle.inference.bulk.cache import CACHE_SIZE, StreamPredictor
from aisle.inference.bulk.folder import Folder
from aisle.inference.bulk.shards import ShardRecord, write_shard
from aisle.inference.prediction_files import OutputError
from aisle.progress import SILENT, Advance, Progress

if TYPE_CHECKING:
    from aisle.inference.bulk.cluster import Cluster

FORMAT_VERSION = 1
_HASHED_WHOLE = 1 << 30  # bytes; of longer files, evenly spaced blocks are hashed
_HASHED_BLOCKS = 256
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class BulkJob:
    """A bulk classification.

    Attributes:
        model: the model.
        pieces: the source, in chunks.
        out: the folder to write to.
        ending: of the shards: `.jsonl`, `.csv` or `.parquet`.
        cache_size: predictions kept for equal products; 0 for none.
        settings: whatever else determines the output; a run can be resumed with equal settings only.
    """

    model: StreamPredictor
    pieces: Chunks
    out: Path
    ending: str = ".jsonl"
    cache_size: int = CACHE_SIZE
    settings: Mapping[str, Any] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        """The parameters that determine the output bytes."""
        rules = getattr(self.model, "rules", None)
        return {
            "format_version": FORMAT_VERSION,
            "model": self.model.model_id,
            "runtime": type(self.model).__name__,
            "files": [file_identity(file) for file in self.pieces.files],
            "columns": self.pieces.columns.to_dict(),
            "format": self.ending.removeprefix("."),
            "cache": self.cache_size,
            **({} if rules is None else {"rules": rules.digest, "rules_expired": rules.expired}),
            **self.settings,
        }


@dataclass
class BulkSummary:
    """Counts of a bulk classification.

    Attributes:
        rows: all rows.
        before: rows written by an earlier, interrupted run.
        cached: rows predicted from the cache.
        troubled: rows with problems.
        shards: number of shards.
        seconds: duration of this run.
        decisions: rows by decision.
        branches: rows by predicted level-1 category.
        by_rules: rows by decision, of those that a rule acted on.
    """

    rows: int = 0
    before: int = 0
    cached: int = 0
    troubled: int = 0
    shards: int = 0
    seconds: float = 0.0
    decisions: Counter[str] = field(default_factory=Counter)
    branches: Counter[str] = field(default_factory=Counter)
    by_rules: Counter[str] = field(default_factory=Counter)

    def add(self, record: ShardRecord) -> None:
        """Count a shard."""
        self.rows += record.rows
        self.shards += 1
        self.cached += record.cached
        self.troubled += record.troubled
        self.decisions.update(record.decisions)
        self.branches.update(record.branches)
        self.by_rules.update(record.by_rules)


def classify_to_folder(
    job: BulkJob, progress: Progress = SILENT, cluster: "Cluster | None" = None
) -> BulkSummary:
    """Classify all rows of a source into the folder `job.out`, or the rest of an interrupted run.

    Args:
        job: the source, the model and the folder.
        progress: shows how many rows are done.
        cluster: a Ray cluster; by default, rows are classified in this process. The output is the same.

    Raises:
        OutputError: the folder is in use, belongs to another job, or cannot be written. Shards that are
            written stay, and the same call continues from there.
        CatalogError: the source cannot be read.
    """
    started = time.perf_counter()
    summary = BulkSummary()
    with Folder(job.out, job.identity()).writing() as folder:
        before = folder.done()
        summary.before = sum(record.rows for record in before.values())
        if summary.before:
            progress.say(f"{summary.before:,} rows in {len(before):,} shards are written already")
        left = None if job.pieces.total is None else max(job.pieces.total - summary.before, 0)
        records: dict[int, ShardRecord] = {}
        try:
            with progress("classifying", left) as advance:
                for record in _written(job, folder, before, advance, cluster):
                    records[record.number] = record
                    summary.add(record)
            folder.finish(records, _summary(job, summary))
        except OutputError as error:
            raise _with_advice(error, job, summary) from error
    summary.seconds = time.perf_counter() - started
    return summary


def _written(
    job: BulkJob,
    folder: Folder,
    before: Mapping[int, ShardRecord],
    advance: Advance,
    cluster: "Cluster | None",
) -> Iterator[ShardRecord]:
    if cluster is not None:
        if not isinstance(job.pieces, ChunkReader):
            raise OutputError("a benchmark data set cannot be classified on a cluster: leave --ray out")
        yield from cluster.written(job.pieces, (job.ending, job.cache_size), folder, before, advance)
        return
    for chunk in job.pieces:
        record = before.get(chunk.number)
        if record is None or (record.first, record.rows) != (chunk.first, chunk.rows):
            with folder.scratch() as scratch:
                record = write_shard(job.model, chunk, scratch, job.ending, job.cache_size, advance)
                folder.commit(record, scratch)
        yield record


def _with_advice(error: AisleError, job: BulkJob, summary: BulkSummary) -> OutputError:
    return OutputError(
        f"{job.out}: {error}. {summary.rows:,} rows are safe: run the same command again to go on from there"
    )


def _summary(job: BulkJob, summary: BulkSummary) -> dict[str, Any]:
    return {
        "rows": summary.rows,
        "shards": summary.shards,
        "decisions": dict(sorted(summary.decisions.items())),
        "by_rules": dict(sorted(summary.by_rules.items())),
        "rows_with_problems": summary.troubled,
        "answered_from_cache": summary.cached,
        "model_id": job.model.model_id,
    }


def file_identity(file: Path) -> dict[str, Any]:
    """The name, size and hash of a file.

    For a file in an object store the hash is the store's; for a folder of images, of their names and sizes.

    Raises:
        CatalogError: the file cannot be read.
    """
    with wrap_store_errors(file):
        if is_remote(file):
            store: Any = file
            info = store.fs.info(store.path)
            return {"name": file.name, "bytes": info.get("size"), "digest": str(store.fs.ukey(store.path))}
        digest, size = hashlib.blake2b(digest_size=16), 0
        if file.is_dir():
            for path in sorted(path for path in file.rglob("*") if path.is_file()):
                size += path.stat().st_size
                digest.update(f"{path.relative_to(file)}\0{path.stat().st_size}\0".encode())
        else:
            size = file.stat().st_size
            _hash_content(file, size, digest)
        return {"name": file.name, "bytes": size, "digest": digest.hexdigest()}


def _hash_content(file: Path, size: int, digest: Any) -> None:
    """Hash a file, or evenly spaced blocks of a very large one."""
    with file.open("rb") as handle:
        if size <= _HASHED_WHOLE:
            while block := handle.read(_BLOCK_BYTES):
                digest.update(block)
            return
        for number in range(_HASHED_BLOCKS):
            handle.seek(number * (size - _BLOCK_BYTES) // (_HASHED_BLOCKS - 1))
            digest.update(handle.read(_BLOCK_BYTES))
