"""A catalog that comes through a pipe (`-`, `<(…)`, `/dev/stdin`) is copied to a temporary file."""

import os
import re
import select
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from aisle.data.files import MIB, TableFile
from aisle.errors import CatalogError

_DESCRIPTOR = re.compile(r"^/(?:dev|proc/(?:self|\d+))/fd/(\d+)$")
_STDIN = {"-", "/dev/stdin"}
_CHUNK = MIB
_WAIT = 500  # milliseconds after which a signal that came just before the wait is noticed


def is_pipe(source: Any) -> bool:
    """Whether it names standard input or an open descriptor of this process, which can be read once."""
    if not isinstance(source, str | Path):
        return False
    return str(source) in _STDIN or bool(_DESCRIPTOR.match(str(source)))


class PipeCopies:
    """Temporary files with the content of pipes; deleted with this object, or by `close`."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._names: dict[Path, str] = {}
        self._sources: dict[Path, Any] = {}

    def replace_pipes(self, source: Any, max_expanded: int | None = None) -> Any:
        """The source with a temporary file instead of each pipe.

        Raises:
            CatalogError: as `file`.
        """
        if is_pipe(source):
            return self.file(source, max_expanded)
        if isinstance(source, list | tuple) and any(map(is_pipe, source)):
            return [self.replace_pipes(one, max_expanded) for one in source]
        return source

    def restore_names(self, text: str) -> str:
        """A message with the names of pipes instead of those of their temporary files."""
        for path, name in self._names.items():
            text = text.replace(str(path), name)
        return text

    def original(self, path: Path) -> Path:
        """The path that the user gave, if this is a temporary file."""
        return Path(self._sources[path]) if path in self._sources else path

    def file(self, source: Any, max_expanded: int | None = None) -> Path:
        """What came through a pipe, as a file whose name ends as its content says.

        Raises:
            CatalogError: nothing is piped in, it cannot be read, or it is longer than `max_expanded` allows.
        """
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="aisle-pipe-")
        path = Path(self._folder.name) / f"{len(os.listdir(self._folder.name))}"
        try:
            with _opened(source) as pipe, path.open("wb") as out:
                _copy(pipe, out, source, max_expanded)
        except OSError as error:
            raise CatalogError(f"{_name(source)} cannot be read: {error.strerror or error}") from error
        path = path.rename(path.with_name(path.name + _ending(path)))
        self._names[path], self._sources[path] = _name(source), source
        return path

    def close(self) -> None:
        """Delete them."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _opened(source: Any) -> BinaryIO:
    if str(source) in _STDIN:
        number = 0
        if sys.stdin is not None and sys.stdin.isatty():
            raise CatalogError("standard input is a terminal: pipe a catalog into it, or name a file")
    else:
        found = _DESCRIPTOR.match(str(source))
        assert found is not None
        number = int(found[1])
    return os.fdopen(os.dup(number), "rb", buffering=0)


def _copy(pipe: BinaryIO, out: BinaryIO, source: Any, most: int | None) -> None:
    size = 0
    while chunk := _read(pipe):
        size += len(chunk)
        if most is not None and size > most:
            raise CatalogError(f"{_name(source)} is longer than {most:,} bytes: raise --max-expanded")
        out.write(chunk)


def _read(pipe: BinaryIO) -> bytes:
    """The next bytes, none at the end. Ctrl-C ends the wait: polars installs a handler of SIGINT after which
    the system restarts `read`, but never `poll`."""
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    while not waiting.poll(_WAIT):
        pass
    return os.read(pipe.fileno(), _CHUNK)


def _name(source: Any) -> str:
    return "standard input" if str(source) in _STDIN else str(source)


_PACKED = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"BZh": ".bz2", b"\xfd7zXZ\x00": ".xz"}


def _ending(path: Path) -> str:
    """`.csv`, `.jsonl.gz` and so on, by the first bytes."""
    with path.open("rb") as file:
        first = file.read(8)
    packed = next((ending for sign, ending in _PACKED.items() if first.startswith(sign)), "")
    if packed:
        named = path.with_name(path.name + packed)
        path.rename(named)
        try:
            with TableFile(named).open() as file:
                first = file.read(8)
        finally:
            named.rename(path)
    if first.startswith(b"PAR1"):
        return ".parquet" + packed
    first = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    return {b"{": ".jsonl", b"[": ".json"}.get(first[:1], ".csv") + packed
