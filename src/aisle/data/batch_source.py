"""A source that is read batch by batch by its own code, such as a benchmark data set."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from aisle.data.problems import Problems
from aisle.taxonomy import Taxonomy


class BatchSource(NamedTuple):
    """name: what it is called in messages. batches: record batches of text, bytes and vectors, in order; what
    is wrong is noted on the way. taxonomy: asked when all batches have been read. columns: what they hold.
    home: the folder that image paths are relative to. total: records, if that is known before."""

    name: str
    batches: Callable[[Problems], Iterator[pa.RecordBatch]]
    taxonomy: Callable[[], Taxonomy | None]
    columns: dict[str, Any]
    home: Path
    total: int | None = None
