"""Locks an output folder for one writer: a file lock, or in an object store a note that expires."""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from aisle.data.paths import is_remote, store_errors, wrap_store_errors
from aisle.inference.prediction_files import OutputError, refusals

STALE = 60.0  # seconds after which a note that nobody renewed belongs to a writer that is gone
_RENEWED = 15.0


def locked(folder: Path) -> AbstractContextManager[None]:
    """Hold a folder alone while the block runs.

    Raises:
        OutputError: another writer holds it.
    """
    return _noted(folder / "writer.json") if is_remote(folder) else _flocked(folder / "lock")


@contextmanager
def _flocked(file: Path) -> Iterator[None]:
    import fcntl

    with refusals(file):
        handle = file.open("a")
    with handle:
        try:  # the system lets go of it when the process ends, however it ends
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"{file.parent.parent} is being written by another process") from None
        except OSError:  # a file system without locks
            pass
        yield


@contextmanager
def _noted(file: Path) -> Iterator[None]:
    """Stores lock nothing, so a writer leaves a note with the time and renews it. Two that begin in the same
    instant may pass each other; they then write the same bytes, since what they are told is compared."""
    owner = {"writer": uuid.uuid4().hex, "host": socket.gethostname(), "pid": os.getpid()}
    other = _read(file)
    if other is not None and _alive(other):
        age = max(0, time.time() - other["at"])
        raise OutputError(
            f"{file.parent.parent} is being written by process {other['pid']} on {other['host']} "
            f"({age:.0f} s ago); if that one is dead, try again in {max(1, STALE - age):.0f} s"
        )
    stop = threading.Event()

    def note() -> None:
        with wrap_store_errors(file, OutputError), refusals(file):
            file.write_text(json.dumps({**owner, "at": time.time()}))

    def renew() -> None:
        while not stop.wait(_RENEWED):
            try:
                note()
            except OutputError:  # the next shard will say so, or the store is back by then
                continue

    note()
    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        try:
            file.unlink(missing_ok=True)
        except (OSError, *store_errors()):  # it goes stale by itself
            pass


def _read(file: Path) -> dict[str, Any] | None:
    try:
        with wrap_store_errors(file, OutputError):
            owner = json.loads(file.read_bytes())
        return owner if {"pid", "host", "at"} <= set(owner) else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"{file.parent.parent}: {error}") from error
    except (ValueError, TypeError):
        return None


def _alive(other: dict[str, Any]) -> bool:
    """Whether that writer may still be at work."""
    if time.time() - other["at"] > STALE:
        return False
    if other["host"] != socket.gethostname():
        return True
    try:
        os.kill(other["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
