"""`aisle taxonomy diff`."""

import json
from pathlib import Path

from typer.testing import CliRunner

from aisle.cli import register


def run(*arguments: object) -> str:
    found = CliRunner().invoke(register(), [*map(str, arguments)])
    assert found.exit_code == 0, found.output
    return found.output


def test_trees_as_files(tmp_path: Path) -> None:
    old, new = tmp_path / "old.txt", tmp_path / "new.csv"
    old.write_text("Food > Beer\nFood > Wine\nHome > Lamps\n")
    new.write_text("path\nFood > Beer & Wine\nHome > Lamps\nHome > Clocks\n")
    out = run("taxonomy", "diff", old, new, "--json", tmp_path / "d.json", "--html", tmp_path / "d.html")
    assert "Food > Beer + Food > Wine → Food > Beer & Wine" in out
    assert "Home > Clocks" in out
    data = json.loads((tmp_path / "d.json").read_text())
    assert data["counts"] == {"merged": 1, "added": 1, "kept": 3}
    assert (tmp_path / "d.html").read_text("utf-8").startswith("<!doctype html>")


def test_catalogs_are_compared_by_their_products(tmp_path: Path) -> None:
    titles = [f"Article number {word}" for word in ("one", "two", "three", "four", "five", "six")]
    for name, labels in (("old", "PPPQQQ"), ("new", "YYYXXX")):
        rows = [
            f"{i},{title},A > {label}" for i, (title, label) in enumerate(zip(titles, labels, strict=True))
        ]
        (tmp_path / f"{name}.csv").write_text("\n".join(["id,title,category", *rows]))
    out = run("taxonomy", "diff", tmp_path / "old.csv", tmp_path / "new.csv", "--all")
    assert "A > P → A > Y" in out
    assert "A > Q → A > X" in out


def test_equal_trees(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Food > Beer\n")
    assert "No category changed." in run("taxonomy", "diff", tmp_path / "a.txt", tmp_path / "a.txt")


def test_a_file_that_is_no_tree(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    found = CliRunner().invoke(register(), ["taxonomy", "diff", str(tmp_path / "a.csv"), str(tmp_path / "b")])
    assert found.exit_code != 0
