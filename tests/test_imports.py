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


def files_of(package: str) -> list[Path]:
    return sorted([*SOURCE.glob(f"{package}.py"), *(SOURCE / package).rglob("*.py")])


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


def test_each_module_has_a_layer():
    top = {
        path.name.removesuffix(".py") for path in SOURCE.iterdir() if path.suffix == ".py" or path.is_dir()
    }
    assert top - {"__init__", "__main__", "__pycache__"} == set(PACKAGES)


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_packages_below_it(package):
    below = set(PACKAGES[: PACKAGES.index(package) + 1]) - FORBIDDEN.get(package, set())
    above = {str(file): packages_imported(file) - below for file in files_of(package)}
    assert {file: names for file, names in above.items() if names} == {}


@pytest.mark.slow
def test_these_packages_never_import_torch():
    code = "import sys, aisle.taxonomy, aisle.data, aisle.metrics, aisle.guarantee"
    code += "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_importing_aisle_pulls_in_nothing_heavy():
    code = "import sys, aisle; print({'torch', 'numpy', 'transformers', 'pyarrow'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
    )
