"""Products, their images, and the problems of rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aisle.regular_files import read_bytes
from aisle.taxonomy import CategoryPath


class ImageRef(NamedTuple):
    """An image that is not decoded yet: the path of a file, or the encoded bytes."""

    path: Path | None = None
    data: bytes | None = None

    def read(self) -> bytes:
        """The encoded bytes.

        Raises:
            OSError: The file cannot be read, or it is not a regular file.
        """
        if self.data is not None:
            return self.data
        if self.path is None:
            raise OSError("an ImageRef holds neither a path nor bytes")
        return read_bytes(self.path)

    def __str__(self) -> str:
        return str(self.path) if self.path is not None else f"<{len(self.data or b'')} bytes>"


@dataclass(frozen=True)
class Product:
    """One listing. A query is a product with views missing, so everything but `id` may be empty.

    Attributes:
        id: The product's id.
        fields: Text by name: `title`, `description`, and other columns under their own names. A blank value
            has no key.
        images: The images.
        vectors: Precomputed embeddings by name, each (D,) float32.
        categories: Acceptable categories; the first is the primary one.
    """

    id: str
    fields: Mapping[str, str] = field(default_factory=dict)
    images: tuple[ImageRef, ...] = ()
    vectors: Mapping[str, np.ndarray] = field(default_factory=dict)
    categories: tuple[CategoryPath, ...] = ()


class Problem(NamedTuple):
    """Something that is wrong in a catalog.

    Attributes:
        row: The number of the record, from 1, without the header; None: the whole file.
        column: The column.
        message: What is wrong.
        value: The value that is wrong.
        fatal: Whether the row is left out of training. Its prediction is `review`.
    """

    row: int | None
    column: str | None
    message: str
    value: str = ""
    fatal: bool = False

    def __str__(self) -> str:
        where = "catalog" if self.row is None else f"catalog row {self.row:,}"
        column = f", column {self.column!r}" if self.column else ""
        value = f" {self.value[:80]!r}" if self.value else ""
        return f"{where}{column}: {self.message}{':' if value else ''}{value}"
