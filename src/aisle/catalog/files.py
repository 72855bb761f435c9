"""Files as they are found: folders of them, compressed or not, in whatever encoding."""

import codecs
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import zstandard
from pyarrow.parquet import ParquetFile

from aisle.errors import CatalogError, did_you_mean

TABLES = {
    ".csv": "csv", ".txt": "text", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".json": "json", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2"}
_SURE = {
    "csv",
    "tsv",
    "jsonl",
    "parquet",
}  # in a folder; other .txt and .json files are mostly something else
LOG = "images.jsonl"  # what `aisle images` writes beside the pictures it fetched
_PACKED = {".gz", ".zst", ".zstd"}
_LEGACY = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256"),
    *("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "koi8_r"),
]
_SAMPLE = 4 * 2**20


class Table(NamedTuple):
    """One file of a catalogue: its format (`csv`, `text` as CSV, `tsv`, `jsonl`, `json`, `parquet`)."""

    path: Path
    format: str

    def open(self) -> BinaryIO:
        """The file's bytes, decompressed.

        Raises:
            OSError, EOFError, zstandard.ZstdError: it cannot be read.
        """
        if self.path.suffix.lower() == ".gz":
            return io.BufferedReader(gzip.open(self.path))  # pyright: ignore[reportArgumentType]
        if self.path.suffix.lower() in (".zst", ".zstd"):
            return io.BufferedReader(_Zstd(self.path))
        return self.path.open("rb")


class _Zstd(io.RawIOBase):
    """Decompressed bytes of a `.zst` file; unlike the library's own reader, it notices a missing end."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._fed = False
        self._ready = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next.

        Raises:
            EOFError: the file ends in the middle of a frame.
        """
        while not self._ready:
            packed = self._file.read(1 << 18)
            if not packed:
                if self._fed and not self._frame.eof:
                    raise EOFError("the compressed file ends too early")
                return 0
            self._ready = self._unpack(packed)
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def _unpack(self, packed: bytes) -> bytes:
        out = []
        while packed:
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            out.append(self._frame.decompress(packed))
            self._fed, packed = True, self._frame.unused_data
        return b"".join(out)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def find_tables(source: Path) -> list[Table]:
    """The file itself, or all tables in a folder and its subfolders, by name; none in a folder of pictures.

    Raises:
        CatalogError: there is no such file, or its ending says no known format.
    """
    if source.is_dir():
        found = (p for p in source.rglob("*") if _format(p) in _SURE and p.is_file() and p.name != LOG)
        return [Table(path, _format(path)) for path in sorted(found) if not _hidden(path, source)]
    if not source.exists():
        near = [p.name for p in source.parent.iterdir()] if source.parent.is_dir() else []
        raise CatalogError(f"{source}: no such file.{did_you_mean(source.name, near)}")
    kind = _format(source)
    if not kind and source.suffix.lower() in {".xlsx", ".xls", ".ods"}:
        raise CatalogError(f"{source}: a spreadsheet; save it as CSV (UTF-8) first")
    return [Table(source, kind or "csv")]


def find_pictures(folder: Path) -> list[Path]:
    """The pictures in a folder's subfolders, by name."""
    found = (p for p in folder.rglob("*") if p.suffix.lower() in PICTURES and not _hidden(p, folder))
    return sorted(p for p in found if p.is_file())


def _format(path: Path) -> str:
    packed = path.suffix.lower() in _PACKED
    return TABLES.get((Path(path.stem) if packed else path).suffix.lower(), "")


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(root).parts)


def estimate_rows(table: Table) -> int | None:
    """About how many records a file has, by the length of its first lines; None for packed files."""
    if table.path.suffix.lower() in _PACKED:
        return None
    if table.format == "parquet":
        return int(ParquetFile(table.path).metadata.num_rows)
    with table.open() as file:
        sample = file.read(_SAMPLE // 16)
    lines = sample.count(b"\n")
    return lines * table.path.stat().st_size // len(sample) if lines else 1


class Encoding(NamedTuple):
    """How bytes become text; sure: decided by a byte-order mark or by valid UTF-8."""

    name: str
    sure: bool


def detect_encoding(table: Table, given: str | None = None) -> Encoding:
    """As given, else by byte-order mark, else UTF-8 where the first 4 MiB are, else the likeliest guess.

    Raises:
        CatalogError: Python knows no encoding of the given name.
    """
    if given is not None:
        try:
            return Encoding(codecs.lookup(given).name, True)
        except LookupError as error:
            raise CatalogError(f"encoding {given!r} is unknown; try utf-8, cp1252, shift_jis …") from error
    with table.open() as file:
        sample = file.read(_SAMPLE)
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if sample.startswith(mark):
            return Encoding(name, True)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(sample)
    except UnicodeDecodeError as error:
        return _guess(sample, error)
    return Encoding("utf-8", True)


def _guess(sample: bytes, error: UnicodeDecodeError) -> Encoding:
    bad = 0
    lines = sample.splitlines()
    for line in lines:
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            bad += 1
    nonascii = sum(not line.isascii() for line in lines)
    if bad <= nonascii / 2:  # UTF-8 with some broken lines: those become problems of their rows
        return Encoding("utf-8", True)
    from charset_normalizer import from_bytes

    likely = list(from_bytes(sample[: 256 * 1024], cp_isolation=_LEGACY))
    best = likely[0] if likely else None
    western = next((match for match in likely if match.encoding == "cp1252"), None)
    if best is None:
        return Encoding("cp1252", False)
    if western and western.chaos <= best.chaos + 0.01 and western.coherence >= best.coherence - 0.1:
        best = western  # its neighbours read it as well, so the commonest of them it is
    return Encoding(best.encoding, False)


def lines_of(table: Table, encoding: str) -> Iterator[str]:
    """Text lines with their endings (`\\n`, `\\r` or `\\r\\n` alone end one); undecodable bytes survive
    as surrogates, to be noticed where the row is known."""
    errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    with io.TextIOWrapper(table.open(), encoding=encoding, errors=errors, newline="") as file:
        yield from file
