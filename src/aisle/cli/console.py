"""Output of all commands: results, progress bars and errors.

Results go to standard output, everything else to standard error. Exit codes: 0 done; 1 the input was read
but has problems (`check --strict`, …); 2 wrong usage or bad input (any AisleError).
"""

import json
import shlex
import sys
from typing import Any

from rich.console import Console

from aisle.progress import SILENT, Progress
from aisle.progress_bars import console_progress, print_remark

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
# On a terminal, lines break between words; in a file or a pipe they do not break at all.
out.soft_wrap, err.soft_wrap = not out.is_terminal, not err.is_terminal


def say(message: str, quiet: bool = False) -> None:
    """Print a remark to standard error; markup is not interpreted."""
    if not quiet:
        print_remark(err, message)


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
    return SILENT if quiet else console_progress(err, price)
