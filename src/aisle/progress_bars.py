"""Progress bars: on a terminal, in a notebook, or as plain lines in a log."""

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from aisle.progress import SILENT, Advance, Progress

_BAR_AFTER = 1.0  # seconds of work after which a bar is shown
_LINE_EVERY = 10.0  # seconds between plain lines
_DRAW_EVERY = 0.2  # seconds between two states of a bar in a notebook


def choose_progress(progress: Progress | bool | None = None) -> Progress:
    """Where progress is shown.

    Args:
        progress: True: on standard error, or in the notebook. False: nowhere. None: in the notebook, and
            nowhere outside of notebooks. A `Progress`: as it says.

    Returns:
        The progress. A silent one logs to the logger `aisle`.
    """
    if progress is None:
        return NotebookBars() if in_notebook() else SILENT
    if isinstance(progress, bool):
        if not progress:
            return SILENT
        return NotebookBars() if in_notebook() else console_progress(Console(stderr=True, highlight=False))
    return progress


def in_notebook() -> bool:
    """Whether this code runs in the kernel of a notebook (Jupyter, Colab, VS Code)."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_ipython() if get_ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def console_progress(console: Console, price: float | None = None) -> Progress:
    """Bars on a terminal, plain lines elsewhere.

    Args:
        console: Where they are printed.
        price: Cost of this machine per hour; the cost per million products is shown with it.
    """
    return TerminalBars(console, price) if console.is_terminal else PlainLines(console, price)


def print_remark(console: Console, message: str) -> None:
    """Print one line of text; markup is not interpreted."""
    if not console.is_terminal:  # lines do not break
        console.print(Text(message), soft_wrap=True)
        return
    words = message.lstrip()
    console.print(Padding(Text(words), (0, 0, 0, len(message) - len(words))))


def cost(price: float, done: int, seconds: float) -> str:
    """Cost of a million products at this speed: `0.43 per million`."""
    each = price * seconds / 3600 / max(done, 1) * 1e6
    return f"{each:,.2f} per million" if each >= 1 else f"{each:.2g} per million"


class TerminalBars:
    """A progress bar with rate and time left for work that takes longer than a second."""

    def __init__(self, console: Console, price: float | None = None) -> None:
        self.console = console
        self.price = price

    @contextmanager
    def __call__(self, label: str, total: int | None = None, unit: str = "products") -> Iterator[Advance]:
        """Show a bar; arguments as of `Progress`."""
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
        bar = Bar(*columns, console=self.console)
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
        """Print one line of text."""
        print_remark(self.console, message)


class PlainLines:
    """One line per ten seconds of work, and one at its end, for logs."""

    def __init__(self, console: Console, price: float | None = None) -> None:
        self.console = console
        self.price = price

    @contextmanager
    def __call__(self, label: str, total: int | None = None, unit: str = "products") -> Iterator[Advance]:
        """Print lines; arguments as of `Progress`."""
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
                self.say(_line(label, done, total, unit, passed) + priced)

        yield advance
        passed = time.monotonic() - started
        if passed > _BAR_AFTER:
            self.say(f"{label}: {done:,} {unit} in {passed:,.0f} s")

    def say(self, message: str) -> None:
        """Print one line of text."""
        print_remark(self.console, message)


class NotebookBars:
    """A bar below the notebook's cell for work that takes longer than a second; remarks go to the log."""

    @contextmanager
    def __call__(self, label: str, total: int | None = None, unit: str = "products") -> Iterator[Advance]:
        """Show a bar; arguments as of `Progress`."""
        started, drawn, done = time.monotonic(), 0.0, 0
        draw = _notebook_display()

        def advance(n: int) -> None:
            nonlocal drawn, done
            done += n
            passed = time.monotonic() - started
            if passed > _BAR_AFTER and passed - drawn > _DRAW_EVERY:
                drawn = passed
                draw(_bar_html(_line(label, done, total, unit, passed), done, total))

        yield advance
        if drawn:
            passed = time.monotonic() - started
            draw(_bar_html(f"{label}: {done:,} {unit} in {passed:,.0f} s", 1, 1))

    def say(self, message: str) -> None:
        """Log one line of text."""
        SILENT.say(message)


def _notebook_display() -> Callable[[str], None]:
    """A function that shows HTML below the cell, in the same place each time."""
    from IPython.display import HTML, display  # pyright: ignore[reportMissingImports]

    handle: Any = None

    def draw(page: str) -> None:
        nonlocal handle
        if handle is None:
            handle = display(HTML(page), display_id=True)
        else:
            handle.update(HTML(page))

    return draw


def _bar_html(text: str, done: int, total: int | None) -> str:
    share = f' value="{min(done, total)}" max="{total}"' if total else ""
    return f"<div><progress{share}></progress> {html.escape(text)}</div>"


def _line(label: str, done: int, total: int | None, unit: str, passed: float) -> str:
    rate = done / passed
    left = f", {(total - done) / rate:,.0f} s left" if total and rate else ""
    whole = f" of {total:,}" if total else ""
    return f"{label}: {done:,}{whole} {unit}, {rate:,.0f}/s{left}"
