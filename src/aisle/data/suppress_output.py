"""Context managers that suppress warnings, and output of C code to standard error.

Both are process-wide, so users are counted: the first thread that enters switches output off, the last that
leaves switches it on again.
"""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_STDERR = 2


class _UserCount:
    """Calls `_switch_off` for the first of overlapping users and undoes it after the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._undo = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._switch_off(self._undo)
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._undo.close()

    def _switch_off(self, undo: ExitStack) -> None:
        raise NotImplementedError


class _WarningsOff(_UserCount):
    def _switch_off(self, undo: ExitStack) -> None:
        undo.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")


class _StandardErrorOff(_UserCount):
    def _switch_off(self, undo: ExitStack) -> None:
        undo.enter_context(_to_devnull())


@contextmanager
def _to_devnull() -> Iterator[None]:
    try:
        original = os.dup(_STDERR)
    except OSError:  # there is no standard error
        yield
        return
    devnull = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, _STDERR)
        yield
    finally:
        os.dup2(original, _STDERR)
        os.close(original)
        os.close(devnull)


warnings_off = _WarningsOff()
stderr_off = _StandardErrorOff()
