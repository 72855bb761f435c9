"""Bulk classification on a Ray cluster: one task reads, actors classify, this process writes.

An actor gets a chunk and returns the bytes of a shard. If an actor fails, Ray sends its chunk to another one,
which computes the same bytes.
"""

import io
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from aisle.data.chunks import Chunk, ChunkReader
from aisle.data.files import SourceFile
from aisle.data.problems import Problems
from aisle.data.source_rows import SourceRows
from aisle.errors import AisleError, extra, first_line
from aisle.inference.bulk.cache import StreamPredictor
from aisle.inference.bulk.folder import Folder
from aisle.inference.bulk.shards import PROBLEMS, ShardRecord, write_shard
from aisle.progress import Advance

_CONNECT_TIMEOUT_S = 10.0
_COLUMNS = ("record", "body", "problems")


class ClusterError(AisleError):
    """The cluster cannot be reached, or failed."""


class Cluster:
    """A Ray cluster.

    Args:
        load: Loads the model, in each actor.
        address: Address of a running cluster. Default: one on this machine, which is stopped after the work.
    """

    def __init__(self, load: Callable[[], StreamPredictor], address: str | None = None) -> None:
        self.load, self.address = load, address

    def written(
        self,
        chunks: ChunkReader,
        how: tuple[str, int],
        folder: Folder,
        before: Mapping[int, ShardRecord],
        advance: Advance,
    ) -> Iterator[ShardRecord]:
        """Classify all chunks that are not written yet, and write their shards.

        Args:
            chunks: the source.
            how: ending of the shards, and size of the cache.
            folder: the output folder.
            before: shards that are written already.
            advance: called with the number of rows done.

        Yields:
            The record of every shard, in any order.

        Raises:
            ClusterError: the cluster cannot be reached, or failed.
        """
        yield from before.values()
        ray = extra("ray", "ray", "--ray")
        data = extra("ray.data", "ray", "--ray")
        with _connected(ray, self.address), _unwrap_errors(self.address):
            context = data.DataContext.get_current()
            context.enable_progress_bars = False
            context.print_on_execution_start = False
            context.target_max_block_size = (
                1  # one chunk per block: otherwise small chunks wait for each other
            )
            source = _source(data, chunks, {number: (r.first, r.rows) for number, r in before.items()})
            processors = max(int(ray.cluster_resources().get("CPU", 1)), 1)
            shards = data.read_datasource(source, num_cpus=0, override_num_blocks=1).map_batches(
                Worker,
                fn_constructor_args=(self.load, chunks, how, _threads(), os.getcwd()),
                batch_size=None,
                batch_format="pyarrow",
                compute=data.ActorPoolStrategy(min_size=1, max_size=processors, initial_size=processors),
                num_cpus=1,
            )
            for table in shards.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
                for row in table.to_pylist():
                    record = ShardRecord.from_json(row["record"])
                    _commit(folder, record, row)
                    advance(record.rows)
                    yield record


def _commit(folder: Folder, record: ShardRecord, written: Mapping[str, Any]) -> None:
    with folder.scratch() as scratch:
        folder.put(scratch / record.file, written["body"])
        folder.put(scratch / PROBLEMS, written["problems"])
        folder.commit(record, scratch)


class Worker:
    """An actor, with its own copy of the model."""

    def __init__(
        self,
        load: Callable[[], StreamPredictor],
        chunks: ChunkReader,
        how: tuple[str, int],
        threads: int | None,
        home: str,
    ) -> None:
        _change_directory(home)
        self.model, self.chunks, self.how = load(), chunks, how
        if threads is not None:  # equal rounding on all machines
            torch = sys.modules.get("torch")
            if torch is not None:
                torch.set_num_threads(threads)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Classify chunks; returns the bytes of their shards."""
        records = [self._shard(row) for row in table.to_pylist()]
        types = (pa.string(), pa.large_binary(), pa.large_binary())
        columns = [pa.array([row[i] for row in records], kind) for i, kind in enumerate(types)]
        return pa.table(dict(zip(_COLUMNS, columns, strict=True)))

    def _shard(self, row: Mapping[str, Any]) -> tuple[str, bytes, bytes]:
        suffix, cache_size = self.how
        batches = _unpacked(row["rows"])
        shard_problems = Problems()
        for problem in row["problems"]:
            shard_problems.add(
                *(problem[key] for key in ("row", "column", "message", "value")), fatal=problem["fatal"]
            )
        lead = None if row["lead"] is None else np.array(row["lead"], np.int64)
        rows = SourceRows(row["first"], lead=lead)
        files = tuple(
            SourceFile(Path(file_row["path"]), file_row["first"], file_row["last"])
            for file_row in row["files"]
        )
        catalog = partial(self.chunks.catalog, batches, rows, shard_problems, files)
        chunk = Chunk(
            row["number"], row["first"], sum(b.num_rows for b in batches), catalog, batches, shard_problems
        )
        with tempfile.TemporaryDirectory(prefix="aisle-") as scratch:
            record = write_shard(self.model, chunk, Path(scratch), suffix, cache_size)
            body, problems = (Path(scratch, name).read_bytes() for name in (record.file, PROBLEMS))
        return record.to_json(), body, problems


def _source(data: Any, chunks: ChunkReader, finished: Mapping[int, tuple[int, int]]) -> Any:
    """A Ray data source that one task reads, with one row per block and chunk."""
    directory = os.getcwd()

    def read() -> Iterator[pa.Table]:
        _change_directory(directory)
        for chunk in chunks:
            if finished.get(chunk.number) != (chunk.first, chunk.rows):
                problems = [problem._asdict() for problem in chunk.problems or ()]
                lead = chunk.source_rows.lead
                row = {"number": [chunk.number], "first": [chunk.first], "problems": [problems]}
                row["files"] = [[file_._asdict() | {"path": str(file_.path)} for file_ in chunk.files]]
                row["lead"] = [None if lead is None else lead.tolist()]
                columns = {name: pa.array(value, _ROW_TYPES[name]) for name, value in row.items()}
                yield pa.table({**columns, "rows": pa.array([_packed(chunk.batches)], _ROW_TYPES["rows"])})

    class Source(data.Datasource):
        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, parallelism: int, *more: Any, **named: Any) -> list[Any]:
            block = extra("ray.data.block", "ray", "--ray")
            about = block.BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
            return [data.ReadTask(read, about)]

    return Source()


_PROBLEM_TYPE = pa.struct(
    [
        ("row", pa.int64()),
        ("column", pa.string()),
        ("message", pa.string()),
        ("value", pa.string()),
        ("fatal", pa.bool_()),
    ]
)
_ROW_TYPES = {
    "number": pa.int64(),
    "first": pa.int64(),
    "lead": pa.list_(pa.int64()),
    "files": pa.list_(pa.struct([("path", pa.string()), ("first", pa.int64()), ("last", pa.int64())])),
    "problems": pa.list_(_PROBLEM_TYPE),
    "rows": pa.large_binary(),
}


def _packed(batches: Sequence[pa.RecordBatch]) -> bytes:
    """Serialise batches, which may have different columns; slices without the rest of their buffers."""
    out = io.BytesIO()
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        data = sink.getvalue()
        out.write(len(data).to_bytes(8, "little"))
        out.write(data)
    return out.getvalue()


def _unpacked(packed: bytes) -> list[pa.RecordBatch]:
    batches: list[pa.RecordBatch] = []
    start, view = 0, memoryview(packed)
    while start < len(view):
        size = int.from_bytes(view[start : start + 8], "little")
        batches += pa.ipc.open_stream(pa.py_buffer(view[start + 8 : start + 8 + size]))
        start += 8 + size
    return batches


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """Connect to a cluster while the block runs; an existing connection is used, and stays."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    options = {"logging_level": "ERROR", "log_to_driver": False}
    try:
        if address is None:
            ray.init(address="local", include_dashboard=False, **options)
        else:
            _check_listening(address)
            ray.init(address=address, **options)
    except Exception as error:  # Ray does not document which exceptions it raises
        raise ClusterError(f"no Ray cluster at {address or 'this machine'}: {first_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_listening(address: str) -> None:
    """Raise OSError if nothing listens at the address, where Ray would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT_S).close()


@contextmanager
def _unwrap_errors(address: str | None) -> Iterator[None]:
    """Raise the AisleError of an actor in this process."""
    ray = sys.modules["ray"]
    try:
        yield
    except AisleError:
        raise
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, AisleError):
            cause = getattr(cause, "cause", None) or cause.__cause__
        if cause is not None:
            raise cause from error
        if isinstance(error, ray.exceptions.RayError):
            raise ClusterError(f"the cluster {address or 'of this machine'}: {first_line(error)}") from error
        raise


def _threads() -> int | None:
    torch = sys.modules.get("torch")
    return None if torch is None else torch.get_num_threads()


def _change_directory(directory: str) -> None:
    """Change to the folder where the run was started, if it exists, for relative paths."""
    if os.path.isdir(directory):
        os.chdir(directory)
