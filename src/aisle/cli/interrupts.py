"""Ctrl-C: prints one line, with the command that continues the work where there is one, and exits with
130."""

import functools
import os
import shlex
import sys
from collections.abc import Callable
from typing import Any

import typer

Words = Callable[[], list[str] | None]
_next: Words = lambda: None  # noqa: E731


def continue_with(words: Words) -> None:
    """Set how the running command is continued after an interrupt.

    Args:
        words: Called on the interrupt; returns the words after `aisle`, or None where nothing can be
            continued.
    """
    global _next
    _next = words


def same_command(*more: str) -> list[str]:
    """The words that were typed, and those flags of `more`, with their values, that are not among them."""
    words = sys.argv[1:]
    names = {word.partition("=")[0] for word in words}
    flags = [[more[i], *more[i + 1 : i + 2]] if not _alone(more, i) else [more[i]] for i in _starts(more)]
    return [*words, *(part for flag in flags if flag[0] not in names for part in flag)]


def _starts(words: tuple[str, ...]) -> list[int]:
    return [i for i, word in enumerate(words) if word.startswith("--")]


def _alone(words: tuple[str, ...], i: int) -> bool:
    return i + 1 == len(words) or words[i + 1].startswith("--")


def guarded(command: Callable[..., None], words: Words | None = None) -> Callable[..., None]:
    """The command; interrupted, it prints one line and exits with 130.

    Args:
        command: A command's function.
        words: How it is continued; the command itself may set another way.
    """

    @functools.wraps(command)
    def run(*args: Any, **given: Any) -> None:
        continue_with(words or (lambda: None))
        try:
            command(*args, **given)
        except KeyboardInterrupt:
            print_interrupted()
            raise typer.Exit(130) from None

    return run


def print_interrupted() -> None:
    """Print that the command was interrupted and how it is continued."""
    from aisle.cli import console

    if os.environ.get("RANK", "0") != "0":  # of the processes that torchrun starts, the first prints
        return
    words = _next()
    line = "interrupted" if words is None else f"interrupted: continue with {_start()} {shlex.join(words)}"
    console.err.print(line, markup=False, soft_wrap=True)  # to be copied whole


def _start() -> str:
    several = os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1"))
    return "aisle" if several == "1" else f"torchrun --nproc-per-node {several} -m aisle"
