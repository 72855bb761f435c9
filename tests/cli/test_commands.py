"""What all commands have in common: fast help, suggestions for misspelled words, exit codes."""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from aisle.cli.command import commands


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def in_a_shell(*words):
    """Run the command line in a process of its own: its output is no terminal."""
    return subprocess.run([sys.executable, "-m", "aisle", *words], capture_output=True, text=True)


@pytest.fixture
def aisle(typed, monkeypatch):
    """Run the command line in this process, in a folder."""

    def run(*words, cwd=None):
        if cwd is not None:
            monkeypatch.chdir(cwd)
        return Done(*typed(*words))

    return run


@pytest.fixture
def products(tmp_path):
    file = tmp_path / "products.csv"
    file.write_text("id,title,category\n1,red shoes,Shoes\n2,blue hat,Hats\n")
    return file


def test_help_names_every_command_in_a_whole_line():
    done = in_a_shell("--help")
    assert done.returncode == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for command in (one for one in commands() if " " not in one.name):
        assert f"{command.name} {command.short}" in lines


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from aisle.cli import register; register();"
        "print({'torch', 'numpy', 'scipy', 'transformers', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_the_version_is_that_of_the_package():
    assert in_a_shell("--version").stdout == f"aisle {__import__('aisle').__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trian",), "Did you mean 'train'"),
        (("train", "nothere.csv"), "nothere.csv"),
        (("train", "products.csv", "--column", "title=titel"), "Did you mean 'title'?"),
        (("train", "products.csv", "--recipe", "fasst"), "Did you mean 'fast'?"),
        (("train", "products.csv", "--set", "famly=linear"), "Did you mean 'family'?"),
        (("train", "products.csv", "--set", "views.titel.scale=64"), "Did you mean 'title'?"),
        (("classify", "nothere", "products.csv"), "nothere"),
        (("classify", "nothere", "products.csv", "--out", "placed.xlsx"), ".parquet"),
        (("info", "nothere"), "nothere"),
        (("recipes", "fst"), "Did you mean 'fast'?"),
    ],
)
def test_what_a_user_can_mend_is_said_without_a_traceback(aisle, products, words, said):
    done = aisle(*words, cwd=products.parent)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (products.parent / "runs").exists()


def test_an_error_is_one_line_however_long(aisle, products):
    products.write_text("".join(f"column_number_{i}," for i in range(40)) + "id\n" + "," * 40 + "1\n")
    done = aisle("train", "products.csv", "--column", "title=column_number_x", cwd=products.parent)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_recipes_are_listed_and_one_is_printed_as_the_file_it_is(aisle, tmp_path):
    listed = aisle("recipes")
    assert listed.stdout.startswith("fast ") or "\nfast " in listed.stdout
    printed = aisle("recipes", "fast").stdout
    (tmp_path / "mine.toml").write_text(printed)
    again = aisle("recipes", "mine.toml", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, printed)


def test_set_reaches_stages_that_a_recipe_does_not_write_down():
    from aisle.training.recipe import load_recipe

    recipe = load_recipe(
        {
            "views": {"title": {"encoder": {"type": "TfidfEncoder"}}},
            "fusion": {"type": "ConcatFusion"},
            "head": {"type": "TreeHead"},
        },
        ["stages.0.epochs=3", "losses.0.label_smoothing=0.1"],
    )
    assert [stage.epochs for stage in recipe.stages] == [3]
    assert [(loss.type, loss.options) for loss in recipe.losses] == [
        ("CrossEntropyLoss", {"label_smoothing": 0.1})
    ]


@pytest.mark.slow
def test_a_command_is_one_function_as_contributing_shows(products, tmp_path):
    page = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    block = page.split("```python\n# count.py\n")[1].split("```")[0]
    (tmp_path / "with_count.py").write_text(f"{block}\nfrom aisle.cli import main\n\nmain()\n")
    call = [sys.executable, str(tmp_path / "with_count.py")]
    done = subprocess.run([*call, "count", str(products), "--delimiter", ","], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")
    listed = subprocess.run([*call, "--help"], capture_output=True, text=True).stdout
    assert [line.split() for line in listed.splitlines() if line.startswith("  count")] == [
        ["count", "Print", "the", "number", "of", "rows."]
    ]
    assert "--image-root" in subprocess.run([*call, "count", "--help"], capture_output=True, text=True).stdout


@pytest.mark.slow
def test_a_report_that_cannot_be_written_is_one_line(trained, shop, typed, tmp_path):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "report"
    code, _, said = typed("evaluate", trained.run, shop.products, "--out", out, "--quiet")
    assert (code, "".join(said.split())) == (2, f"error:{out}cannotbewritten:Notadirectory")


def test_help_has_plain_type_names(aisle):
    for one in commands():
        if one.function is not None:
            done = aisle(*one.name.split(), "--help")
            assert done.returncode == 0
            assert not re.search(r"<\w+( range)?>|<list\[", done.stdout), one.name
