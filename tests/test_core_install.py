"""The core needs few packages, and is whole without the extras."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.evaluation.shop import products

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
# `benchmarks/install_size.py` measures what these bring: at most 45 packages and 650 MB.
CORE = {
    *("chardet", "jinja2", "joblib", "numpy", "pillow", "pyarrow", "pydantic", "rich"),
    *("safetensors", "scikit-learn", "scipy", "typer"),
}
WITHOUT = """
import sys
from importlib.machinery import PathFinder

class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in {names!r} else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Installed
sys.argv = {arguments!r}
from aisle.cli import main
main()
"""


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower()


def extras() -> set[str]:
    """Modules that only extras bring."""
    required = {name_of(r) for some in PROJECT["optional-dependencies"].values() for r in some}
    modules = {"python-multipart": "multipart", "universal-pathlib": "upath", "mlflow-skinny": "mlflow"}
    return {modules.get(name, name).replace("-", "_") for name in required - {"aisle"}} | {"matplotlib"}


def test_the_core_depends_on_few_packages():
    assert {name_of(requirement) for requirement in PROJECT["dependencies"]} == CORE


@pytest.mark.slow
def test_fast_trains_reports_and_classifies_without_any_extra(tmp_path):
    rows = products(300, seed=3)
    lines = [f'{p.id},"{p.fields["title"]}","{" > ".join(p.categories[0])}"' for p in rows]
    (tmp_path / "shop.csv").write_text("\n".join(["id,title,category", *lines]))
    for arguments in (
        ["train", "shop.csv", "--out", "run", "--quiet"],
        ["evaluate", "run", "shop.csv", "--out", "report", "--quiet"],
        ["classify", "run", "shop.csv", "--out", "placed.csv", "--quiet"],
        ["explain", "run", "--product", rows[0].id, "--source", "shop.csv", "--out", "why", "--quiet"],
    ):
        code = WITHOUT.format(names=extras(), arguments=["aisle", *arguments])
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    report = (tmp_path / "report" / "report.html").read_text()
    assert report.count("<polyline") > 3
    measured = json.loads((tmp_path / "report" / "report.json").read_text())
    assert measured["model"]["overall"]["accuracy"]["value"] > 0.8
    assert len((tmp_path / "placed.csv").read_text().splitlines()) == 301
