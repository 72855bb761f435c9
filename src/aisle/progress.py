"""How long work tells of itself: the library calls, the command line draws."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """`with progress("encoding title", total=5_000) as advance: … advance(64)`."""

    def __call__(
        self, label: str, total: int | None = None, unit: str = "products"
    ) -> AbstractContextManager[Advance]:
        """Begin a piece of work of `total` units, if known; `advance(n)` says that n are done."""
        ...

    def say(self, message: str) -> None:
        """One line about what was found or decided."""
        ...


class Silent:
    """Says nothing."""

    @contextmanager
    def __call__(self, label: str, total: int | None = None, unit: str = "products") -> Iterator[Advance]:
        """Does nothing."""
        yield lambda n: None

    def say(self, message: str) -> None:
        """Does nothing."""


SILENT: Progress = Silent()
