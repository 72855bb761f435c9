"""What every command shares: where output goes, progress, and how errors leave.

Results go to standard output, everything else to standard error. Exit codes: 0 done; 1 the input
was read but is not good (`check --strict`, …); 2 wrong use or bad input (any AisleError).
"""

import json
import sys
from typing import Any

from rich.console import Console

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, highlight=False)


def say(message: str, quiet: bool = False) -> None:
    """A line for the person watching, on standard error; markup is not interpreted."""
    if not quiet:
        err.print(message, markup=False)


def print_json(data: Any) -> None:
    """The one JSON document of a command run with --json."""
    json.dump(data, sys.stdout, ensure_ascii=False, indent=2, default=str)
    sys.stdout.write("\n")
