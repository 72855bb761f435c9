"""Runs the code blocks of the documentation in order, in a folder with a small sample shop."""

import csv
import gzip
import importlib.util
import itertools
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from typer.core import TyperGroup
from typer.main import get_command

from aisle import load, read
from aisle.cli import register
from aisle.data import readers
from aisle.data.demo import make_shop
from aisle.errors import RecipeError
from aisle.metrics import Truth, overall
from aisle.taxonomy import Taxonomy

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


class Block(NamedTuple):
    kind: str
    text: str


def blocks(page: str) -> list[Block]:
    return [Block(*found) for found in _BLOCK.findall((ROOT / page).read_text())]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with `products.csv`, `new.csv` and their images, as a reader of the README would have."""
    folder = tmp_path_factory.mktemp("reader")
    made = make_shop(folder, 200, seed=3)
    shutil.copy(made.incoming, folder / "new.csv")
    return folder


def run(block: Block, folder: Path) -> None:
    """Run one block as its reader would; one that begins with a file's name becomes that file."""
    named = re.match(r"# (\S+\.(toml|py))\n", block.text)
    assert named or block.kind != "toml", f"a block of TOML begins with its file's name: {block.text[:40]!r}"
    if named:
        (folder / named[1]).write_text(block.text)
        return
    if block.kind == "python":
        command = [sys.executable, "-c", block.text]
    else:
        aisle = f'aisle() {{ "{sys.executable}" -m aisle "$@"; }}\n'
        command = ["bash", "-euc", aisle + block.text]
    environment = {**os.environ, "AISLE_CACHE": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_the_python_tutorial_runs_from_top_to_bottom(tmp_path):
    code = "\n".join(block.text for block in blocks("docs/python.md") if block.kind == "python")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "of the paths are right" in done.stdout


def ids(file: Path) -> list[str]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        return [row["id"] for row in csv.DictReader(lines)]


def test_the_readmes_two_commands_are_targets():
    first = next(b.text for b in blocks("README.md") if b.kind == "sh")
    commands = [line.split("#")[0].strip() for line in first.strip().splitlines()]
    assert commands == ["make demo", "make test"]
    for command in commands:
        subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.slow
def test_the_readmes_blocks_run_in_order(shop):
    for block in blocks("README.md"):
        if block.kind in ("sh", "python", "toml") and not block.text.startswith("make "):
            run(block, shop)
    assert ids(shop / "predictions.csv") == ids(shop / "new.csv")
    assert "<h1" in (shop / "runs/shop/report/report.html").read_text()
    card = json.loads((shop / "shop-model/aisle.json").read_text())
    assert card["model_id"] == load(shop / "runs/shop").model_id
    assert 'type = "AverageFusion"' in (shop / "runs/mine-1/recipe.toml").read_text()


@pytest.mark.slow
def test_parts_of_ones_own_work_as_contributing_says(shop):
    for block in blocks("CONTRIBUTING.md"):
        if not block.text.startswith("make "):
            run(block, shop)
    card, recipe = ((shop / "runs/pairs" / name).read_text() for name in ("model/README.md", "recipe.toml"))
    assert "Fusion `bilinear:Bilinear`" in card
    for part in ("words:WordsEncoder", "flat:FlatHead", "penalty:ConfidencePenalty"):
        assert f'type = "{part}"' in recipe
    with (shop / "predictions.jsonl").open() as lines:
        assert [json.loads(line)["id"] for line in lines] == ids(shop / "new.csv")
    with pytest.raises(RecipeError, match="trust_code"):
        load(shop / "runs/pairs")


def written(name: str, folder: Path) -> Path:
    """The file of this name that CONTRIBUTING.md shows."""
    run(next(b for b in blocks("CONTRIBUTING.md") if b.text.startswith(f"# {name}\n")), folder)
    return folder / name


def test_a_metric_is_added_as_contributing_says(tmp_path, monkeypatch):
    added = runpy.run_path(str(written("level1.py", tmp_path)))["level1_accuracy"]
    monkeypatch.setattr(overall, "level1_accuracy", added, raising=False)
    monkeypatch.setattr(overall, "__all__", [*overall.__all__, "level1_accuracy"])
    tree = Taxonomy.from_paths([("A", "B"), ("A", "C"), ("D",)])
    a_b, a_c, d = (tree.index(path) for path in (("A", "B"), ("A", "C"), ("D",)))
    truth = Truth(tree, np.full((4, 1), a_b), np.ones((4, 1), bool))
    found = overall.overall_metrics(truth.match(np.array([a_b, a_c, d, d])))
    assert (found["accuracy"], found["level1_accuracy"]) == (0.25, 0.5)


def test_a_reader_is_added_as_contributing_says(tmp_path, monkeypatch):
    added = runpy.run_path(str(written("xml_reader.py", tmp_path)))["XmlReader"]
    monkeypatch.setattr(readers, "XmlReader", added, raising=False)
    monkeypatch.setattr(readers, "__all__", [*readers.__all__, "XmlReader"])
    feed = b"<feed><item><id>7</id><title>Red shoes</title><category>Shoes</category></item></feed>"
    folder = tmp_path / "feeds"
    folder.mkdir()
    (folder / "feed.xml").write_bytes(feed)
    (folder / "more.xml.gz").write_bytes(gzip.compress(feed.replace(b"7", b"8")))
    (folder / "plain.csv").write_text("id,title,category\n9,Wall clock,Clocks\n")
    products = [(product.id, product.fields["title"], product.categories) for product in read(folder)]
    assert products == [
        ("7", "Red shoes", (("Shoes",),)),
        ("8", "Red shoes", (("Shoes",),)),
        ("9", "Wall clock", (("Clocks",),)),
    ]


@pytest.mark.slow
def test_a_command_is_added_as_contributing_says(tmp_path):
    written("count.py", tmp_path)
    (tmp_path / "products.csv").write_text("id,title\n1,Red shoes\n2,Wall clock\n")
    # The folder becomes part of the package: a module there is found without being named anywhere.
    code = "import aisle.cli; aisle.cli.__path__.append('.'); aisle.cli.main()"

    def aisle(*words: str) -> str:
        command = [sys.executable, "-c", code, *words]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert aisle("count", "products.csv") == "2\n"
    assert re.search(r"^ +count +Print the number of rows\.$", aisle("--help"), re.M)


def test_what_the_design_names_is_there():
    named = set(re.findall(r"`((?:src|tests)/[\w/.]+)`", (ROOT / "docs/design.md").read_text()))
    assert len(named) > 100
    assert not [path for path in named if not (ROOT / path).exists()]


def typed_commands(page: Path) -> list[list[str]]:
    """What a page's blocks type after `aisle`, a list of words for each command."""
    found = []
    for text in re.findall(r"^```(?:sh)?\n(.*?)^```$", page.read_text(), re.M | re.S):
        for line in text.replace("\\\n", " ").splitlines():
            command = re.match(r"(?:\w+=\S+ |torchrun .*-m )*aisle (.*)", line)
            if command:
                words = shlex.shlex(command[1], posix=True, punctuation_chars=";|&<>")
                words.whitespace_split = True
                found.append([*itertools.takewhile(lambda word: not set(word) <= set(";|&<>"), words)])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_take_what_the_pages_give_them(page):
    for words in typed_commands(page):
        name, command, rest = "aisle", get_command(register()), words
        while isinstance(command, TyperGroup):
            name, command, rest = rest[0], command.commands[rest[0]], rest[1:]
        context = command.make_context(name, list(rest))  # raises where an option is not as declared
        assert context.command is command


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    prose = _BLOCK.sub("", page.read_text())
    missing = [link for link in _LINK.findall(prose) if not (page.parent / link).exists()]
    assert not missing


def test_what_is_generated_is_up_to_date():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stale = [page.name for page, text in module.pages().items() if page.read_text() != text]
    assert not stale, f"run `make docs` and commit: {', '.join(stale)}"
