"""What every command shares: where output goes, progress, and how errors leave.

Results go to standard output, everything else to standard error. Exit codes: 0 done; 1 the input
was read but is not good (`check --strict`, …); 2 wrong use or bad input (any AisleError).
"""

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from aisle.progress import SILENT, Advance, Progress

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but results.")]
Device = Annotated[
    str, typer.Option("--device", help="Where the network runs: cpu, cuda, mps, or auto: the best there is.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change the recipe: views.title.encoder.dim=128. Repeatable."
    ),
]
TextEncoder = Annotated[
    str | None,
    typer.Option(
        "--text-encoder", metavar="PATH_OR_NAME", help="The recipe's text encoder: a folder or hub name."
    ),
]
ImageEncoder = Annotated[
    str | None,
    typer.Option(
        "--image-encoder", metavar="PATH_OR_NAME", help="The recipe's image encoder: a folder or hub name."
    ),
]
TrustCode = Annotated[bool, typer.Option("--trust-code", help="Allow parts named my_file:Part.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
# A terminal's lines break between words; a file's or a pipe's do not break at all.
out.soft_wrap, err.soft_wrap = not out.is_terminal, not err.is_terminal

_SOON = 1.0  # seconds of work after which it is worth a bar
_EVERY = 10.0  # seconds between plain lines


def say(message: str, quiet: bool = False) -> None:
    """A line for the person watching, on standard error; markup is not interpreted."""
    if not quiet:
        words = message.lstrip()
        err.print(
            Padding(Text(words), (0, 0, 0, len(message) - len(words))) if err.is_terminal else Text(message)
        )


def print_json(data: Any) -> None:
    """The one JSON document of a command run with --json."""
    json.dump(data, sys.stdout, ensure_ascii=False, indent=2, default=str)
    sys.stdout.write("\n")


def print_markdown(text: str) -> None:
    """Laid out on a terminal, as it is elsewhere; a front matter is for machines and left out of both."""
    body = text.split("---\n", 2)[2] if text.startswith("---\n") else text
    if out.is_terminal:
        from rich.markdown import Markdown

        out.print(Markdown(body, hyperlinks=False))
    else:
        out.print(body, markup=False)


def places(**named: object) -> None:
    """Where things are and what to do next, one a line; None is left out."""
    for name, place in named.items():
        if place is not None:
            out.print(f"{name:<12} {place}", markup=False, soft_wrap=True)  # a broken path is no path


def command(*words: object) -> str:
    """An `aisle` command line that can be pasted into a shell."""
    return shlex.join(["aisle", *map(str, words)])


def progress(quiet: bool, price: float | None = None) -> Progress:
    """Bars on a terminal, plain lines elsewhere, nothing when quiet.

    price: of an hour, to tell what a million costs.
    """
    if quiet:
        return SILENT
    return _Bars(price) if err.is_terminal else _Lines(price)


def cost(price: float, done: int, seconds: float) -> str:
    """What a million would cost at this pace: `0.43 a million`."""
    each = price * seconds / 3600 / max(done, 1) * 1e6
    return f"{each:,.2f} a million" if each >= 1 else f"{each:.2g} a million"


class _Bars:
    """A bar with rate and time left for whatever takes longer than a second."""

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
            if not shown and passed > _SOON:
                bar.start()
                shown = True
            told = f"  {cost(self.price, done, passed)}" if self.price is not None else ""
            bar.update(task, advance=n, pace=f"{done / max(passed, 1e-9):,.0f}", cost=told)

        try:
            yield advance
        finally:
            if shown:
                bar.stop()

    def say(self, message: str) -> None:
        say(message)


class _Lines:
    """One line every ten seconds of work, and one at its end: for logs."""

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
            if now - last >= _EVERY:
                last = now
                passed = now - started
                told = f", {cost(self.price, done, passed)}" if self.price is not None else ""
                say(_line(label, done, total, unit, passed) + told)

        yield advance
        passed = time.monotonic() - started
        if passed > _SOON:
            say(f"{label}: {done:,} {unit} in {passed:,.0f} s")

    def say(self, message: str) -> None:
        say(message)


def _line(label: str, done: int, total: int | None, unit: str, passed: float) -> str:
    rate = done / passed
    left = f", {(total - done) / rate:,.0f} s left" if total and rate else ""
    whole = f" of {total:,}" if total else ""
    return f"{label}: {done:,}{whole} {unit}, {rate:,.0f}/s{left}"
