"""Imports point one way, and what answers never imports what learns."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "aisle"
ROOMS = [
    "errors",
    "charts",
    "progress",
    "regular_files",
    "encodings",
    "taxonomy",
    "data",
    "metrics",
    "guarantee",
    "models",
    "models",
    "inference",
    "training",
    "search",
    "evaluation",
    "workflow",
    "server",
    "cli",
]
# The server answers; it must not carry training code.
FORBIDDEN = {
    "inference": {"training"},
    "search": {"training"},
    "server": {"training", "workflow", "evaluation"},
}
FILES = sorted(SOURCE.rglob("*.py"))


def room_of(file: Path) -> str:
    part = file.relative_to(SOURCE).parts[0]
    return part.removesuffix(".py")


def rooms_imported(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found |= {n.split(".")[1] for n in names if n.startswith("aisle.")}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_a_room_imports_only_rooms_above_it(file):
    room = room_of(file)
    if room in ("__init__", "__main__"):
        return
    above = set(ROOMS[: ROOMS.index(room) + 1]) - FORBIDDEN.get(room, set())
    assert rooms_imported(file) <= above


@pytest.mark.parametrize("room", ["taxonomy", "data", "metrics", "guarantee"])
def test_these_rooms_never_import_torch(room):
    code = f"import sys, aisle.{room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_importing_aisle_pulls_in_nothing_heavy():
    code = "import sys, aisle; print({'torch', 'numpy', 'transformers', 'pyarrow'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
    )
