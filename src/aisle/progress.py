"""Progress-reporting protocol. Library code reports progress; the CLI renders it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]


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
    """Reports nothing."""

    @contextmanager
    def __call__(self, label: str, total: int | None = None, unit: str = "products") -> Iterator[Advance]:
        """Does nothing."""
        yield lambda n: None

    def say(self, message: str) -> None:
        """Does nothing."""


SILENT: Progress = Silent()
