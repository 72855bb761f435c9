"""Ctrl-C: one line, with the command that continues where there is one, and exit code 130."""

import functools
import os
import shlex
import sys
from collections.abc import Callable
from typing import Any

import typer

_next: Callable[[], list[str] | None] = lambda: None  # noqa: E731


def continue_with(words: Callable[[], list[str] | None]) -> None:
    """What a command is continued with, asked when it is interrupted: the words of the command line after
    `aisle`; None: nothing can be continued."""
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


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """The command; interrupted, it prints one line and exits with 130."""

    @functools.wraps(command)
    def run(*args: Any, **given: Any) -> None:
        continue_with(lambda: None)
        try:
            command(*args, **given)
        except KeyboardInterrupt:
            say()
            raise typer.Exit(130) from None

    return run


def say() -> None:
    """Print what is to be said of an interruption."""
    from aisle.cli import console

    if os.environ.get("RANK", "0") != "0":  # of the processes that torchrun starts, the first speaks
        return
    words = _next()
    line = "interrupted" if words is None else f"interrupted: continue with {_start()} {shlex.join(words)}"
    console.err.print(line, markup=False, soft_wrap=True)  # to be copied whole


def _start() -> str:
    several = os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1"))
    return "aisle" if several == "1" else f"torchrun --nproc-per-node {several} -m aisle"
