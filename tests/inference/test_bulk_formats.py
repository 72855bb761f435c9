"""`aisle classify` gives the same answers whatever kind of file the products come in."""

import json
import sqlite3

import pytest

from tests.extras import require
from tests.inference.test_bulk import csv_of, listings

require("openpyxl", "dev")
require("python_calamine", "excel")
require("sqlalchemy", "sql")
COLUMNS = ("id", "title", "description")
ROWS = [*listings(20), ("7", "cup & saucer", "<b>big</b>")]


def as_xml(path, rows):
    from xml.sax.saxutils import escape

    items = (
        "".join(f"<{name}>{escape(value)}</{name}>" for name, value in zip(COLUMNS, row, strict=True))
        for row in rows
    )
    path.write_text(f"<products>{''.join(f'<product>{item}</product>' for item in items)}</products>")


def as_json(path, rows):
    path.write_text(json.dumps({"data": {"items": [dict(zip(COLUMNS, row, strict=True)) for row in rows]}}))


def as_xlsx(path, rows):
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["Our products"], COLUMNS, *rows):
        book.active.append(list(row))
    book.save(path)


def as_sqlite(path, rows):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE products (id TEXT, title TEXT, description TEXT)")
        connection.executemany("INSERT INTO products VALUES (?, ?, ?)", rows)
    connection.close()


@pytest.mark.parametrize(
    ("name", "write", "source"),
    [
        ("in.xml", as_xml, "{}"),
        ("in.json", as_json, "{}"),
        ("in.xlsx", as_xlsx, "{}"),
        ("in.db", as_sqlite, "sqlite:///{}?table=products"),
    ],
)
def test_every_kind_of_file_gives_the_answers_of_a_csv(run, trained, tmp_path, name, write, source):
    def answers(file):
        out = tmp_path / "out.jsonl"
        assert run("classify", trained.run, file, "--out", out, "--quiet")[0] == 0
        found = [json.loads(line) for line in out.read_text().splitlines()]
        out.unlink()
        return [(row["id"], row["decision"], row["path"], row["confidence"]) for row in found]

    write(tmp_path / name, ROWS)
    wanted = answers(csv_of(tmp_path, ROWS, "wanted.csv"))
    assert len(wanted) == len(ROWS)
    assert answers(source.format(tmp_path / name)) == wanted


def test_a_folder_is_written_from_half_a_file_only_with_an_error(run, trained, tmp_path):
    as_xml(tmp_path / "in.xml", ROWS)
    half = (tmp_path / "in.xml").read_text()
    (tmp_path / "in.xml").write_text(half[: len(half) // 2])
    for out in ("out.csv", "out"):
        code, _, said = run("classify", trained.run, tmp_path / "in.xml", "--out", tmp_path / out, "--quiet")
        assert (code, "the XML ends in its middle" in " ".join(said.split())) == (2, True)
    assert not (tmp_path / "out.csv").exists()
