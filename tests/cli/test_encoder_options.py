"""`--text-encoder` and `--image-encoder`, in every command that trains."""

import pytest
from typer.testing import CliRunner

from aisle.cli import register
from aisle.errors import AisleError

OPTIONS = ("--text-encoder", "./nowhere-at-all")


@pytest.fixture
def file(tmp_path):
    rows = [f"red shoes {i},Shoes" if i % 2 else f"oak clock {i},Clocks" for i in range(20)]
    (tmp_path / "rows.csv").write_text("\n".join(["title,category", *rows]))
    return str(tmp_path / "rows.csv")


def slow(words):
    return pytest.param(words, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "words",
    [
        ("train", "{file}", "--recipe", "balanced", "--out", "{out}", "-q"),
        pytest.param(
            ("compare", "{file}", "fast", "balanced", "--out", "{out}", "-q"), marks=pytest.mark.slow
        ),
        pytest.param(
            ("audit", "{file}", "--recipe", "balanced", "--out", "{out}", "-q"), marks=pytest.mark.slow
        ),
    ],
)
def test_the_encoder_that_is_named_is_the_one_that_is_looked_for(words, file, tmp_path):
    words = [word.format(file=file, out=tmp_path / "out") for word in words]
    result = CliRunner().invoke(register(), [*words, *OPTIONS])
    assert isinstance(result.exception, AisleError), result.output
    assert "nowhere-at-all" in str(result.exception)


def test_a_recipe_that_reads_none_says_so(file, tmp_path):
    words = ["train", file, "--out", str(tmp_path / "out"), *OPTIONS]
    result = CliRunner().invoke(register(), words)
    assert "reads no text encoder: leave --text-encoder out" in str(result.exception)
    assert not (tmp_path / "out").exists()
