"""Silence while a library talks: warnings, and what C code writes to standard error itself.

Both are process-wide, so entering and leaving is counted: the first thread in switches off, the last
one out switches on again, in whatever order threads come and go.
"""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_STDERR = 2


class _Counted:
    """Runs `_enter` for the first of overlapping users and undoes it for the last."""

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


class _Warnings(_Counted):
    def _switch_off(self, undo: ExitStack) -> None:
        undo.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")


class _StandardError(_Counted):
    def _switch_off(self, undo: ExitStack) -> None:
        undo.enter_context(_to_nowhere())


@contextmanager
def _to_nowhere() -> Iterator[None]:
    try:
        kept = os.dup(_STDERR)
    except OSError:  # there is no standard error to silence
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
        os.close(nowhere)


warnings_off = _Warnings()
stderr_off = _StandardError()
