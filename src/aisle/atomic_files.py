"""Files that are whole or absent: written under a temporary name in the same folder, synced, then renamed."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from aisle.errors import AisleError


def check_parent_folder(file: Path, kind: type[AisleError] = AisleError) -> None:
    """Check that the folder of a file exists, before the work whose result is written there.

    Args:
        file: the file to write.
        kind: the exception to raise.

    Raises:
        AisleError: the folder does not exist.
    """
    folder = file.absolute().parent
    if not folder.is_dir():
        raise kind(f"{file}: folder {folder} does not exist")


@contextmanager
def wrap_write_errors(path: object, kind: type[AisleError] = AisleError) -> Iterator[None]:
    """Raise errors of the disk as one line that names what is written.

    Args:
        path: the file or folder that is written.
        kind: the exception to raise.

    Raises:
        AisleError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise kind(f"{path} cannot be written: {error.strerror or error}") from error


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
