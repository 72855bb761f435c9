"""RESULTS.md is written by the benchmarks, a section each, never by hand."""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "RESULTS.md"
SHARED = Path(os.environ.get("AISLE_SHARED", Path(__file__).parents[2] / "shared"))
_TITLE = "# Measured results\n\nEach section is written by its script. Trust ratios: machines are noisy.\n"


def write_section(name: str, markdown: str) -> None:
    """Replace the section between `<!-- name -->` and `<!-- /name -->`, or add it at the end."""
    text = RESULTS.read_text() if RESULTS.exists() else _TITLE
    section = f"<!-- {name} -->\n{markdown.strip()}\n<!-- /{name} -->"
    found = re.compile(rf"<!-- {re.escape(name)} -->.*?<!-- /{re.escape(name)} -->", re.DOTALL)
    text = found.sub(lambda _: section, text) if found.search(text) else f"{text.rstrip()}\n\n{section}\n"
    RESULTS.write_text(text)


def read_section(name: str) -> list[str]:
    """Lines of a section as it stands; none where there is no such section."""
    found = re.search(
        rf"<!-- {re.escape(name)} -->(.*?)<!-- /{re.escape(name)} -->", RESULTS.read_text(), re.DOTALL
    )
    return found[1].splitlines() if found else []


def remove_section(name: str) -> None:
    """Drop a section whose figures no longer describe the code."""
    found = re.compile(rf"<!-- {re.escape(name)} -->.*?<!-- /{re.escape(name)} -->\n*", re.DOTALL)
    RESULTS.write_text(found.sub("", RESULTS.read_text()).rstrip() + "\n")


def table(names: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Lines of a Markdown table: its header, then the given lines."""
    return [f"| {' | '.join(names)} |", "|" + "---|" * len(names), *lines]


def measure_apart(script: str, source: str, folder: str) -> dict[str, Any]:
    """Run `script --measure source` in a process private, so that peaks of memory do not add up.

    Args:
        script: The benchmark; with `--measure` it prints one JSON object.
        source: What it measures.
        folder: The folder of its temporary files.

    Returns:
        The printed object.
    """
    command = [sys.executable, script, "--measure", source]
    environment = os.environ | {"TMPDIR": folder}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return json.loads(run.stdout)


def machine() -> str:
    """What the numbers were measured on."""
    cpu = next((x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")), "")

    return (
        f"{os.cpu_count()} cores{',' + cpu.split(':')[1] if cpu else ''}, Python {platform.python_version()}"
    )
