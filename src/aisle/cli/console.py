"""Output of all commands: results, progress bars and errors.

Results go to standard output, everything else to standard error. Exit codes: 0 done; 1 the input was read
but has problems (`check --strict`, …); 2 wrong usage or bad input (any AisleError).
"""

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from aisle.errors import AisleError
from aisle.progress import SILENT, Advance, Progress

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
# On a terminal, lines break between words; in a file or a pipe they do not break at all.
out.soft_wrap, err.soft_wrap = not out.is_terminal, not err.is_terminal

_BAR_AFTER = 1.0  # seconds of work after which a bar is shown
_LINE_EVERY = 10.0  # seconds between plain lines


def say(message: str, quiet: bool = False) -> None:
    """Print a remark to standard error; markup is not interpreted."""
    if not quiet:
        words = message.lstrip()
        err.print(
            Padding(Text(words), (0, 0, 0, len(message) - len(words))) if err.is_terminal else Text(message)
        )


def print_json(data: Any) -> None:
    """Print the one JSON document of a command run with --json."""
    json.dump(data, sys.stdout, ensure_ascii=False, indent=2, default=str)
    sys.stdout.write("\n")


def print_markdown(text: str) -> None:
    """Print Markdown, rendered on a terminal and as it is elsewhere; the front matter is left out."""
    body = text.split("---\n", 2)[2] if text.startswith("---\n") else text
    if out.is_terminal:
        from rich.markdown import Markdown

        out.print(Markdown(body, hyperlinks=False))
    else:
        out.print(body, markup=False)


def print_paths(**named: object) -> None:
    """Print where results are and what to do next, one per line; None is left out."""
    for name, path in named.items():
        if path is not None:
            out.print(f"{name:<12} {path}", markup=False, soft_wrap=True)  # a path must not be broken


@contextmanager
def writing(path: object) -> Iterator[None]:
    """Report a failure to write `path` on one line.

    Raises:
        AisleError: The code in the `with` block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise AisleError(f"{path} cannot be written: {error.strerror or error}") from error


def printable(text: str) -> str:
    """Text of a catalog for a terminal: control characters (colours, cursor moves) are replaced."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "�" for c in text)


def command(*words: object) -> str:
    """An `aisle` command line that can be pasted into a shell."""
    return shlex.join(["aisle", *map(str, words)])


def progress(quiet: bool, price: float | None = None) -> Progress:
    """Bars on a terminal, plain lines elsewhere, nothing when quiet.

    Args:
        quiet: Report nothing.
        price: Cost of this machine per hour; the cost per million products is shown with it.
    """
    if quiet:
        return SILENT
    return _Bars(price) if err.is_terminal else _PlainLines(price)


def cost(price: float, done: int, seconds: float) -> str:
    """Cost of a million products at this speed: `0.43 per million`."""
    each = price * seconds / 3600 / max(done, 1) * 1e6
    return f"{each:,.2f} per million" if each >= 1 else f"{each:.2g} per million"


class _Bars:
    """A progress bar with rate and time left for work that takes longer than a second."""

    def __init__(self, price: float | None = None) -> None:
        self.price = price

    @contextmanager
    def __call__(self, label: str, total: int | None = None, unit: str = "products") -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}  {task.fields[pace]}/s{task.fields[cost]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        started, shown, done = time.monotonic(), False, 0
        bar = Bar(*columns, console=err)
        task = bar.add_task(label, total=total, unit=unit, pace="…", cost="")

        def advance(n: int) -> None:
            nonlocal shown, done
            done += n
            passed = time.monotonic() - started
            if not shown and passed > _BAR_AFTER:
                bar.start()
                shown = True
            priced = f"  {cost(self.price, done, passed)}" if self.price is not None else ""
            bar.update(task, advance=n, pace=f"{done / max(passed, 1e-9):,.0f}", cost=priced)

        try:
            yield advance
        finally:
            if shown:
                bar.stop()

    def say(self, message: str) -> None:
        say(message)


class _PlainLines:
    """One line per ten seconds of work, and one at its end, for logs."""

    def __init__(self, price: float | None = None) -> None:
        self.price = price

    @contextmanager
    def __call__(self, label: str, total: int | None = None, unit: str = "products") -> Iterator[Advance]:
        started = last = time.monotonic()
        done = 0

        def advance(n: int) -> None:
            nonlocal done, last
            done += n
            now = time.monotonic()
            if now - last >= _LINE_EVERY:
                last = now
                passed = now - started
                priced = f", {cost(self.price, done, passed)}" if self.price is not None else ""
                say(_line(label, done, total, unit, passed) + priced)

        yield advance
        passed = time.monotonic() - started
        if passed > _BAR_AFTER:
            say(f"{label}: {done:,} {unit} in {passed:,.0f} s")

    def say(self, message: str) -> None:
        say(message)


def _line(label: str, done: int, total: int | None, unit: str, passed: float) -> str:
    rate = done / passed
    left = f", {(total - done) / rate:,.0f} s left" if total and rate else ""
    whole = f" of {total:,}" if total else ""
    return f"{label}: {done:,}{whole} {unit}, {rate:,.0f}/s{left}"
