"""Copies pipes (`-`, `<(…)`, `/dev/stdin`) and addresses to temporary files."""

import os
import re
import select
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, cast

from aisle.data.addresses import Address, is_address, to_address
from aisle.data.databases import copy_query
from aisle.data.files import MIB, TableFile
from aisle.data.web_files import download_file
from aisle.encodings import HEAD, document_ending
from aisle.errors import CatalogError

_DESCRIPTOR = re.compile(r"^/(?:dev|proc/(?:self|\d+))/fd/(\d+)$")
_STDIN = {"-", "/dev/stdin"}
_READ_BYTES = MIB
_POLL_MS = 500  # a signal that came just before the wait is noticed after this time


def is_pipe(source: Any) -> bool:
    """Whether a source is standard input or an open descriptor of this process, which can be read once."""
    if not isinstance(source, str | Path):
        return False
    return str(source) in _STDIN or bool(_DESCRIPTOR.match(str(source)))


def is_read_once(source: Any) -> bool:
    """Whether a source is a pipe or an address, which gives its content once."""
    return is_pipe(source) or is_address(source)


class PipeCopies:
    """Temporary files with the content of pipes and addresses; deleted with this object, or by `close`."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._names: dict[Path, str] = {}
        self._sources: dict[Path, Any] = {}

    def replace_pipes(self, source: Any, max_expanded: int | None = None) -> Any:
        """Return the source with a temporary file instead of each pipe and address.

        Raises:
            CatalogError: As `file`.
        """
        if is_read_once(source):
            return self.file(source, max_expanded)
        if isinstance(source, list | tuple) and any(map(is_read_once, source)):
            return [self.replace_pipes(part, max_expanded) for part in source]
        return source

    def restore_names(self, text: str) -> str:
        """Replace the paths of temporary files in a message by the names of their pipes."""
        for path, name in self._names.items():
            text = text.replace(str(path), name)
        return text

    def original(self, path: Path) -> Path:
        """The path or address that the user gave, if `path` is a temporary file; else `path`."""
        if path not in self._sources:
            return path
        source = self._sources[path]
        return cast(Path, to_address(source)) if is_address(source) else Path(source)

    def file(self, source: Any, max_expanded: int | None = None) -> Path:
        """Copy a pipe or an address to a temporary file whose ending is that of its content.

        Raises:
            CatalogError: Nothing is piped in, the source cannot be read, or it holds more than `max_expanded`
                bytes.
        """
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="aisle-pipe-")
        path = Path(self._folder.name) / f"{len(os.listdir(self._folder.name))}"
        if is_address(source):
            return self._copy_address(to_address(source), path, max_expanded)
        try:
            with _open_pipe(source) as pipe, path.open("wb") as out:
                _copy_pipe(pipe, out, source, max_expanded)
        except OSError as error:
            raise CatalogError(
                f"{_display_name(source)} cannot be read: {error.strerror or error}"
            ) from error
        return self._named(path, source)

    def _copy_address(self, address: Address, path: Path, max_expanded: int | None) -> Path:
        if address.is_database:
            copy_query(address, path)
        else:
            download_file(address, path, max_expanded)
        return self._named(path, address)

    def _named(self, path: Path, source: Any) -> Path:
        """The temporary file under a name with the ending of its content."""
        path = path.rename(path.with_name(path.name + _detect_ending(path)))
        self._names[path], self._sources[path] = _display_name(source), source
        return path

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Delete the files."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _open_pipe(source: Any) -> BinaryIO:
    if str(source) in _STDIN:
        number = 0
        if sys.stdin is not None and sys.stdin.isatty():
            raise CatalogError("standard input is a terminal: pipe a catalog into it, or name a file")
    else:
        match = _DESCRIPTOR.match(str(source))
        assert match is not None
        number = int(match[1])
    return os.fdopen(os.dup(number), "rb", buffering=0)


def _copy_pipe(pipe: BinaryIO, out: BinaryIO, source: Any, limit: int | None) -> None:
    size = 0
    while chunk := _read_pipe(pipe):
        size += len(chunk)
        if limit is not None and size > limit:
            raise CatalogError(
                f"{_display_name(source)} is longer than {limit:,} bytes: raise --max-expanded"
            )
        out.write(chunk)


def _read_pipe(pipe: BinaryIO) -> bytes:
    """The next bytes; none at the end.

    `poll` comes first because Ctrl-C must end the wait: polars installs a handler of SIGINT after which the
    system restarts `read`, but never `poll`.
    """
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while not poll.poll(_POLL_MS):
        pass
    return os.read(pipe.fileno(), _READ_BYTES)


def _display_name(source: Any) -> str:
    return "standard input" if str(source) in _STDIN else str(source)


_COMPRESSIONS = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"BZh": ".bz2", b"\xfd7zXZ\x00": ".xz"}


def _detect_ending(path: Path) -> str:
    """The ending by the first bytes, such as `.csv` or `.jsonl.gz`."""
    with path.open("rb") as file:
        first = file.read(HEAD)
    compression = next((ending for sign, ending in _COMPRESSIONS.items() if first.startswith(sign)), "")
    if compression:
        renamed = path.with_name(path.name + compression)
        path.rename(renamed)
        try:
            with TableFile(renamed).open() as file:
                first = file.read(HEAD)
        finally:
            renamed.rename(path)
    suffix = document_ending(first)
    if suffix is None:
        start = first.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        suffix = ".json" if start in (b"{", b"[") else ".csv"
    return suffix + compression
