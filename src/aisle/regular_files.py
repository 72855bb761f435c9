"""Opening files that a user names: regular files only, so that a pipe, device or socket never blocks."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


class NotRegularFileError(OSError):
    """A pipe, device, socket or folder was named where a file is read."""


def special(path: Path) -> str | None:
    """What a path is that is no regular file, such as `a named pipe`; None where it is one, is not there, or
    lies in another file system.

    Raises:
        OSError: it cannot be looked at.
    """
    if not isinstance(path, Path):
        return None
    try:
        return _kind(os.stat(path).st_mode)
    except FileNotFoundError:
        return None


def _kind(mode: int) -> str | None:
    return next((what for is_kind, what in _KINDS if is_kind(mode)), None)


def open_regular(path: Path) -> BinaryIO:
    """A file's bytes, unbuffered reads aside as `path.open("rb")` gives them; it never waits for a writer.

    Raises:
        NotRegularFileError: it is a pipe, a device, a socket or a folder.
        OSError: it cannot be opened.
    """
    if not isinstance(path, Path):  # in an object store, where there is nothing else
        return path.open("rb")
    _refuse(os.stat(path).st_mode, path)  # before it is opened: to open a device may do something
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _refuse(os.fstat(handle).st_mode, path)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _refuse(mode: int, path: Path) -> None:
    what = _kind(mode)
    if what is not None:
        raise NotRegularFileError(errno.EINVAL, f"{what}, not a file", str(path))


def read_bytes(path: Path) -> bytes:
    """All of a file.

    Raises:
        OSError: as `open_regular`.
    """
    with open_regular(path) as file:
        return file.read()


def read_text(path: Path) -> str:
    """All of a UTF-8 file, its line ends as `\\n`.

    Raises:
        OSError: as `open_regular`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return read_bytes(path).decode("utf-8").replace("\r\n", "\n")
