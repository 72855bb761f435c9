"""Progress-reporting protocol. Library code reports progress; the CLI and notebooks render it."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]

_log = logging.getLogger("aisle")


class Progress(Protocol):
    """Reports progress: `with progress("encoding title", total=5_000) as advance: … advance(64)`."""

    def __call__(
        self, label: str, total: int | None = None, unit: str = "products"
    ) -> AbstractContextManager[Advance]:
        """Begin a task.

        Args:
            label: The task's name.
            total: Number of units, if known.
            unit: Name of the units.

        Returns:
            A context manager that gives `advance(n)`, to be called when n more units are done.
        """
        ...

    def say(self, message: str) -> None:
        """Report one line of text."""
        ...


class Silent:
    """Shows nothing; logs to the logger `aisle`: finished tasks at level DEBUG, remarks at INFO."""

    @contextmanager
    def __call__(self, label: str, total: int | None = None, unit: str = "products") -> Iterator[Advance]:
        """Log the task when it is done."""
        done, started = 0, time.monotonic()

        def advance(n: int) -> None:
            nonlocal done
            done += n

        yield advance
        _log.debug("%s: %d %s in %.1f s", label, done, unit, time.monotonic() - started)

    def say(self, message: str) -> None:
        """Log the remark."""
        _log.info("%s", message)


SILENT: Progress = Silent()
