"""Sources that are read by their own code, such as benchmark data sets."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from aisle.data.problems import Problems
from aisle.taxonomy import Taxonomy


class BatchSource(NamedTuple):
    """A source that yields record batches.

    Attributes:
        name: Its name in messages.
        batches: Yields record batches of text, bytes and vectors, and adds problems.
        taxonomy: Returns the category tree; called after all batches were read.
        columns: The column roles.
        home: The folder that image paths are relative to.
        total: The number of records, if it is known.
    """

    name: str
    batches: Callable[[Problems], Iterator[pa.RecordBatch]]
    taxonomy: Callable[[], Taxonomy | None]
    columns: dict[str, Any]
    home: Path
    total: int | None = None
