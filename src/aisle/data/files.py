"""Files of a catalog: compressed or not, in any encoding."""

import bz2
import gzip
import io
import lzma
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from aisle.data.paths import is_remote
from aisle.encodings import KEPT
from aisle.errors import CatalogError
from aisle.regular_files import open_regular

IMAGE_ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2"}
DOWNLOAD_LOG = "images.jsonl"  # written by `aisle images` next to the images it downloads
MIB = 2**20
_COMPRESSED = {".gz", ".zst", ".zstd", ".bz2", ".xz"}
_MIN_ALLOWED = 64 * MIB  # bytes that any compressed file may unpack to
_MAX_RATIO = 100  # larger files: times the compressed size; text compresses 5 to 30 times
MAX_LINE = 32 * 2**20  # characters of a line that are read
CUT = "\udfff"  # marks a line whose end was left out


class SourceFile(NamedTuple):
    """A file of a catalog; its records have the numbers `first` to `last`."""

    path: Path
    first: int
    last: int


class TableFile(NamedTuple):
    """A file of a catalog that holds a table.

    Attributes:
        path: The file.
        max_expanded: Bytes that it may unpack to. Default: 100 times its size, or 64 MiB.
        split: The split of its rows, where its folder or name states one.
    """

    path: Path
    max_expanded: int | None = None
    split: str | None = None

    @property
    def compressed(self) -> bool:
        """Whether its ending names a compression, such as `.gz`."""
        return self.path.suffix.lower() in _COMPRESSED

    @property
    def ending(self) -> str:
        """The ending of its format in lower case, such as `.csv` of `products.CSV.gz`."""
        return (Path(self.path.stem) if self.compressed else self.path).suffix.lower()

    def open(self) -> io.BufferedReader:
        """Open the file; reading it gives decompressed bytes.

        Raises:
            OSError, EOFError, lzma.LZMAError: The file cannot be read.
            CatalogError: While it is read: it unpacks to more than is allowed.
        """
        file = open_regular(self.path)
        if not self.compressed:
            return io.BufferedReader(file) if is_remote(self.path) else file  # type: ignore[return-value, arg-type]
        openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
        unpacked = openers.get(self.path.suffix.lower(), _open_zstd)(file)
        limit = self.max_expanded
        if limit is None:
            limit = max(_MIN_ALLOWED, _MAX_RATIO * self.path.stat().st_size)
        return io.BufferedReader(_Bounded(file, unpacked, limit, self.path))


def _open_zstd(file: Any) -> io.BufferedReader:
    return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(file), "zstd"))


class _Bounded(io.RawIOBase):
    """The content of a compressed file, up to `limit` bytes; closing it closes the file."""

    def __init__(self, file: Any, unpacked: Any, limit: int, path: Path) -> None:
        self._file, self._unpacked, self._limit, self._path = file, unpacked, limit, path
        self._read = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with the next bytes.

        Raises:
            CatalogError: The file unpacks to more than is allowed.
        """
        size = self._unpacked.readinto(buffer)
        self._read += size
        if self._read > self._limit:
            raise CatalogError(
                f"{self._path}: unpacks to more than {self._limit:,} bytes; if it is meant to be that large, "
                "allow it with --max-expanded, such as --max-expanded 10GB"
            )
        return size

    def close(self) -> None:
        """Close both streams."""
        self._unpacked.close()
        self._file.close()
        super().close()


def find_images(folder: Path) -> list[Path]:
    """The images in a folder's subfolders, by name."""
    images = (p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_ENDINGS and not is_hidden(p, folder))
    return sorted(p for p in images if p.is_file())


def is_hidden(path: Path, root: Path) -> bool:
    """Whether a name between a folder and a file in it starts with `.` or `_`."""
    return any(part.startswith((".", "_")) for part in path.relative_to(root).parts)


def lines_of(table: TableFile, encoding: str) -> Generator[str]:
    """Text lines with their endings; only `\\n`, `\\r` and `\\r\\n` end a line.

    Bytes that cannot be decoded become lone surrogates, and `CUT` stands for characters beyond `MAX_LINE`, so
    that both can be reported with their row.
    """
    with io.TextIOWrapper(table.open(), encoding=encoding, errors=KEPT, newline="") as file:
        while line := file.readline(MAX_LINE):
            if len(line) == MAX_LINE and line[-1] not in "\r\n":
                while (rest := file.readline(2**20)) and rest[-1] not in "\r\n":
                    pass
                line += CUT + "\n"
            yield line


def text_pieces(table: TableFile, encoding: str, size: int, skipped: int = 0) -> Iterator[str]:
    """The text of a file, piece by piece.

    Args:
        table: The file.
        encoding: Its encoding; bytes that it cannot decode become lone surrogates.
        size: Characters of a piece.
        skipped: Bytes at the start that are left out, such as a byte-order mark.
    """
    with io.TextIOWrapper(table.open(), encoding=encoding, errors=KEPT, newline="") as file:
        file.buffer.read(skipped)
        while block := file.read(size):
            yield block
