"""`aisle split`, and a training whose parts follow the dates."""

import csv
import itertools
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from aisle.cli import register
from aisle.data import read
from aisle.data.splits import leakage
from aisle.errors import CatalogError
from aisle.training.fit import split_rows
from aisle.training.recipe import load_recipe

HEADER = ["sku", "title", "category", "date", "split"]


def rows(count=60):
    days = [f"2026-{1 + i // 28:02d}-{1 + i % 28:02d}" for i in range(count)]
    made = [[str(i), f"word{i} item", f"C{i % 3}", day, "x"] for i, day in enumerate(days)]
    made[7][1] = 'a "b"\nc\rd, ;é'
    made[8] = ["8", "", "", "", ""]  # nothing to go by
    made[9][1] = made[59][1] = "the same words"
    return made


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows()])
    return path


def run(*words):
    return CliRunner().invoke(register(), [str(word) for word in words])


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_the_rows_stay_as_they_are_and_get_a_split(shop, tmp_path, ending):
    out = tmp_path / f"parted.{ending}"
    done = run("split", shop, "--out", out, "--parts", "train=0.7,test=0.3", "--json")
    assert done.exit_code == 0, done.output
    parted = read(out)
    assert [list(parted.raw(i).values())[:4] for i in range(60)] == [row[:4] for row in rows()]
    assert parted.names == HEADER  # its own split column took the new one
    given = parted.split.tolist()
    assert (given.count("train"), given.count("test"), given.count("")) == (42, 17, 1)
    assert leakage(parted) == []
    assert [part["rows"] for part in json.loads(done.stdout)["parts"]] == [42, 17]
    again = tmp_path / f"again.{ending}"
    run("split", shop, "--out", again, "--parts", "train=0.7,test=0.3")
    assert again.read_bytes() == out.read_bytes()


def test_by_time_the_newest_rows_are_judged(shop, tmp_path):
    out = tmp_path / "parted.csv"
    done = run("split", shop, "--out", out, "--by", "time")
    assert "2026-01-01 to 2026-02-" in done.stdout
    parted = read(out)
    dates, given = parted.dates, parted.split
    moved = parted.rows == 10
    assert dates[(given == "test") & ~moved].min() > dates[given == "train"].max()
    assert given[9] == given[59] == "test"  # one product, shown first in January
    undated = tmp_path / "undated.csv"
    undated.write_text("title,date\na,\nb,\n")
    failed = run("split", undated, "--out", out, "--by", "time")
    assert isinstance(failed.exception, CatalogError)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "x.xlsx"], "rows are written as"),
        (["--out", "no/where.csv"], "does not exist"),
        (["--out", "SHOP"], "is the catalog itself"),
        (["--out", "x.csv", "--parts", "train"], "NAME=SHARE"),
        (["--out", "x.csv", "--parts", "train=0.5,test=0.6"], "must sum to 1"),
        (["--out", "x.csv", "--by", "time", "-c", "date="], "needs a date column"),
    ],
)
def test_what_cannot_be_done_is_told(shop, words, told, monkeypatch):
    monkeypatch.chdir(shop.parent)
    done = run("split", shop, *[shop if word == "SHOP" else word for word in words])
    assert isinstance(done.exception, CatalogError)
    assert told in str(done.exception)
    assert sorted(path.name for path in shop.parent.iterdir()) == ["shop.csv"]


def test_pictures_and_vectors_need_parquet(tmp_path):
    table = pa.table({"title": ["a", "b"], "image": [b"x", b"y"], "clip": [[1.0, 2.0], [3.0, 4.0]]})
    pa.parquet.write_table(table, tmp_path / "x.parquet")
    done = run("split", tmp_path / "x.parquet", "--out", tmp_path / "y.csv")
    assert "bytes or vectors" in str(done.exception)
    assert run("split", tmp_path / "x.parquet", "--out", tmp_path / "y.parquet").exit_code == 0
    parted = read(tmp_path / "y.parquet")
    assert [p.images[0].data for p in parted] == [b"x", b"y"]
    assert parted[1].vectors["clip"].tolist() == [3, 4]


def test_a_recipe_may_learn_from_the_oldest_and_promise_on_the_newest(shop):
    catalog = read(shop, columns={"split": ""})  # "x" names none
    catalog = catalog.select(np.flatnonzero(catalog.targets().node >= 0))
    aside = ["split.validation=0.1", "split.calibration=0.2", "split.threshold=0.2"]
    recipe = load_recipe("fast", ["split.by=time", *aside])
    parts = split_rows(catalog, catalog.targets(), recipe)
    assert sorted(np.concatenate(parts)) == list(range(len(catalog)))
    moved = np.isin(catalog.rows, [10])  # goes with its newer copy
    ends = [(catalog.dates[part][~moved[part]].min(), catalog.dates[part].max()) for part in parts]
    assert all(one[1] < other[0] for one, other in itertools.pairwise(ends))
    with pytest.raises(CatalogError, match="date column"):
        split_rows(read([{"title": "a", "category": "b"}]), catalog.targets(), recipe)
