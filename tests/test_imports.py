"""Imports point down the list of packages, and code that predicts never imports code that trains."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "aisle"
LAYERS = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
][0]
PACKAGES = [name.removeprefix("aisle.") for name in reversed(LAYERS["layers"])]
# The server predicts; it must not carry training code.
FORBIDDEN = {
    "inference": {"training"},
    "search": {"training"},
    "server": {"training", "workflow", "evaluation"},
}
FILES = sorted(SOURCE.rglob("*.py"))


def package_of(file: Path) -> str:
    part = file.relative_to(SOURCE).parts[0]
    return part.removesuffix(".py")


def packages_imported(file: Path) -> set[str]:
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
def test_a_package_imports_only_packages_below_it(file):
    package = package_of(file)
    if package in ("__init__", "__main__"):
        return
    below = set(PACKAGES[: PACKAGES.index(package) + 1]) - FORBIDDEN.get(package, set())
    assert packages_imported(file) <= below


@pytest.mark.parametrize("package", ["taxonomy", "data", "metrics", "guarantee"])
def test_these_packages_never_import_torch(package):
    code = f"import sys, aisle.{package}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_importing_aisle_pulls_in_nothing_heavy():
    code = "import sys, aisle; print({'torch', 'numpy', 'transformers', 'pyarrow'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
    )
