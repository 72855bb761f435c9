"""Files that are whole or absent: written under a temporary name in the same folder, synced, then renamed."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO


@contextmanager
def atomic_path(file: Path) -> Iterator[Path]:
    """Yield a temporary path; rename it to `file` when the block ends without an error.

    Args:
        file: the file to write. If the block fails, it stays as it was, and the temporary file is removed.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_text(file: Path, newline: str = "\n") -> Iterator[TextIO]:
    """Open a UTF-8 text file for writing, as `atomic_path`.

    Args:
        file: the file to write.
        newline: as for `open`.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic_path(file) as path, path.open("w", encoding="utf-8", newline=newline) as handle:
        yield handle


@contextmanager
def atomic_binary(file: Path) -> Iterator[BinaryIO]:
    """Open a binary file for writing, as `atomic_path`.

    Args:
        file: the file to write.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic_path(file) as path, path.open("wb") as handle:
        yield handle
