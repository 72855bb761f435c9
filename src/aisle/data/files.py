"""Files as they are found: folders of them, compressed or not, in whatever encoding."""

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow.parquet import ParquetFile

from aisle.data.paths import is_remote
from aisle.encodings import KEPT
from aisle.errors import CatalogError, did_you_mean
from aisle.regular_files import open_regular, special

TABLES = {
    ".csv": "csv", ".txt": "text", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".json": "json", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
IMAGE_ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2"}
_SURE = {
    "csv",
    "tsv",
    "jsonl",
    "parquet",
}  # in a folder; other .txt and .json files are mostly something else
LOG = "images.jsonl"  # what `aisle images` writes beside the images it fetched
_PACKED = {".gz", ".zst", ".zstd", ".bz2", ".xz"}
MIB = 2**20
_FREELY = 64 * MIB  # what any packed file may unpack to
_RATIO = 100  # and how many times its size; text packs five to thirty times
LONGEST = 32 * 2**20  # characters of a line that are read
CUT = "\udfff"  # stands for the rest of a longer one


class SourceFile(NamedTuple):
    """A file of a catalog; its records have the numbers `first` to `last`."""

    path: Path
    first: int
    last: int


class TableFile(NamedTuple):
    """One file of a catalog: its format (`csv`, `text` as CSV, `tsv`, `jsonl`, `json`, `parquet`)."""

    path: Path
    format: str
    max_expanded: int | None = None

    def open(self) -> io.BufferedReader:
        """The file's bytes, decompressed.

        Raises:
            OSError, EOFError, lzma.LZMAError: it cannot be read.
            CatalogError: while it is read: it unpacks to more than is allowed.
        """
        kind, file = self.path.suffix.lower(), open_regular(self.path)
        if kind not in _PACKED:
            return io.BufferedReader(file) if is_remote(self.path) else file  # type: ignore[return-value, arg-type]
        unpack: Any = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(kind, _open_zstd)
        unpacked = unpack(file)
        most = allowed(self.path.stat().st_size, self.max_expanded)
        return io.BufferedReader(_Bounded(file, unpacked, most, self.path))


def allowed(packed: int, max_expanded: int | None) -> int:
    """Bytes that a packed file may unpack to: as the user said, else by its size."""
    return max(_FREELY, _RATIO * packed) if max_expanded is None else max_expanded


def _open_zstd(file: Any) -> io.BufferedReader:
    return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(file), "zstd"))


class _Bounded(io.RawIOBase):
    """What a packed file unpacks to, up to a bound; closing it closes the file."""

    def __init__(self, file: Any, unpacked: Any, most: int, path: Path) -> None:
        self._file, self._unpacked, self._most, self._path = file, unpacked, most, path
        self._read = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next.

        Raises:
            CatalogError: that is more than is allowed.
        """
        size = self._unpacked.readinto(buffer)
        self._read += size
        if self._read > self._most:
            raise CatalogError(
                f"{self._path}: unpacks to more than {self._most:,} bytes; if it is meant to be that large, "
                "allow it with --max-expanded, such as --max-expanded 10GB"
            )
        return size

    def close(self) -> None:
        """Close both."""
        self._unpacked.close()
        self._file.close()
        super().close()


def find_tables(source: Path) -> list[TableFile]:
    """The file itself, or all tables in a folder and its subfolders, by name; none in a folder of images.

    Raises:
        CatalogError: there is no such file, or its ending says no known format.
    """
    if source.is_dir():
        found = (p for p in source.rglob("*") if _format(p) in _SURE and p.is_file() and p.name != LOG)
        return [TableFile(path, _format(path)) for path in sorted(found) if not _hidden(path, source)]
    if not source.exists():
        near = [p.name for p in source.parent.iterdir()] if source.parent.is_dir() else []
        raise CatalogError(f"{source}: no such file.{did_you_mean(source.name, near)}")
    what = special(source)
    if what is not None:
        raise CatalogError(
            f"{source}: {what}, not a file. To read what a command writes: aisle … - < {source}"
        )
    return [TableFile(source, _format(source) or "csv")]


def find_images(folder: Path) -> list[Path]:
    """The images in a folder's subfolders, by name."""
    found = (p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_ENDINGS and not _hidden(p, folder))
    return sorted(p for p in found if p.is_file())


def _format(path: Path) -> str:
    packed = path.suffix.lower() in _PACKED
    return TABLES.get((Path(path.stem) if packed else path).suffix.lower(), "")


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(root).parts)


def estimate_rows(table: TableFile) -> int | None:
    """About how many records a file has, by the length of its first lines; None for packed files."""
    if table.path.suffix.lower() in _PACKED:
        return None
    if table.format == "parquet":
        with table.path.open("rb") as file, suppress(pa.ArrowException):  # reading it says what is wrong
            return int(ParquetFile(file).metadata.num_rows)
        return None
    with table.open() as file:
        sample = file.read(256 * 1024)
    lines = sample.count(b"\n")
    return lines * table.path.stat().st_size // len(sample) if lines else 1


def lines_of(table: TableFile, encoding: str) -> Iterator[str]:
    """Text lines with their endings (`\\n`, `\\r` or `\\r\\n` alone end one). Bytes that cannot be decoded
    survive as half surrogates, and `CUT` stands for what is beyond `LONGEST` characters of a line, to be
    noticed where the row is known."""
    with io.TextIOWrapper(table.open(), encoding=encoding, errors=KEPT, newline="") as file:
        while line := file.readline(LONGEST):
            if len(line) == LONGEST and line[-1] not in "\r\n":
                while (rest := file.readline(2**20)) and rest[-1] not in "\r\n":
                    pass
                line += CUT + "\n"
            yield line
