"""The wheel holds everything that the installed package needs."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_a_wheel_installed_outside_the_checkout_runs_the_demo(tmp_path):
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist")]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("aisle-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"aisle/py.typed", "aisle/training/recipes/fast.toml", "aisle/server/console/index.html"} <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(site), "AISLE_CACHE": str(tmp_path / "cache")}
    where = [sys.executable, "-c", "import aisle; print(aisle.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(site / "aisle/__init__.py")
    demo = [sys.executable, "-m", "aisle", "demo", "--out", "demo", "--products", "200"]
    done = subprocess.run(demo, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "<h1" in (tmp_path / "demo/run/report/report.html").read_text()
