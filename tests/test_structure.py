"""Names are unique, and every module has a place in docs/design.md."""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "aisle"


def class_names() -> dict[str, list[str]]:
    """Class name -> the modules that define it, public and private classes alike."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(str(file.relative_to(SOURCE)))
    return found


def test_a_class_name_is_defined_once():
    found = class_names()
    assert {name: files for name, files in found.items() if len(files) > 1} == {}


def test_every_module_has_a_place_in_the_design():
    design = (ROOT / "docs" / "design.md").read_text()
    named = set(re.findall(r"`src/aisle/([\w/.]+)`", design))
    modules = {
        str(path.relative_to(SOURCE)) + ("/" if path.is_dir() else "")
        for path in SOURCE.iterdir()
        if (path.is_dir() and path.name != "__pycache__") or path.suffix == ".py"
    }
    assert modules - named == {"__init__.py", "__main__.py"}
    packages = {str(file.parent.relative_to(SOURCE)) + "/" for file in SOURCE.rglob("__init__.py")} - {"./"}
    assert {one for one in packages if one not in named} == set()
