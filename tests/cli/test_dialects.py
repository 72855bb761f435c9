"""The commands on exports of shop platforms: recognised, announced, read again in the same way."""

import json
import random

import pytest

from aisle.data import read
from tests.cli.test_catalog_format import typed
from tests.data import exports

GOODS = {"Kitchen > Pans": ("pan", "wok", "lid"), "Office > Pens": ("pen", "ink", "nib")}
MINE = """
title = "Our own export"
[columns]
id = ["Handle"]
title = ["Name"]
[products]
group_by = ["Handle"]
[category]
columns = ["Shelf"]
delimiter = ">"
"""


@pytest.fixture
def run(monkeypatch, capsys):
    return lambda *words: typed(monkeypatch, capsys, *words)


def shop(path, header):
    """An export of 40 products in 80 rows; the second row of a product has blank cells."""
    chance, lines = random.Random(5), [header]
    for i in range(40):
        shelf = list(GOODS)[i % 2]
        words = " ".join(chance.choices(GOODS[shelf], k=3))
        lines += [f"p{i},{words} {i},{shelf},S{i},9", f"p{i},,,S{i}b,"]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("export", [exports.SHOPIFY, exports.GOOGLE_XML], ids=lambda export: export.file)
def test_check_announces_the_platform(run, tmp_path, export):
    path = export.write(tmp_path)
    products, rows = len(export.products), len(export.product_of_rows)
    code, said, _ = run("check", path, "--no-images")
    noun = "product" if products == 1 else "products"
    assert code == 0
    assert f"{export.title}, {products} {noun} in {rows} rows" in said
    assert "separated by '\\n'" not in said
    found = json.loads(run("check", path, "--no-images", "--json")[1])
    assert (found["dialect"], found["rows"], found["source_rows"]) == (export.title, products, rows)


def test_check_says_what_each_column_is_used_for(run, tmp_path):
    path = exports.MAGENTO.write(tmp_path)
    found = json.loads(run("check", path, "--no-images", "--json")[1])
    parts = {column["name"]: column["part"] for column in found["columns"]}
    assert {name: parts[name] for name in ("sku", "name", "categories", "base_image", "color")} == {
        **{"sku": "id", "name": "title", "categories": "category", "base_image": "images", "color": "fields"},
    }
    assert parts["configurable_variations"] == "group"
    assert parts["additional_attributes"] == "attribute"
    assert parts["url_key"] == "ignored"
    assert ("labels", "levels separated by '/', several categories separated by ','") in map(
        tuple, found["mapping"]
    )


def test_check_reads_a_plain_table_if_asked(run, tmp_path):
    words = ("--no-images", "--json", "--format", "none")
    found = json.loads(run("check", exports.SHOPIFY.write(tmp_path), *words)[1])
    assert (found["dialect"], found["rows"]) == ("", 4)


@pytest.mark.slow
def test_a_run_remembers_its_own_format(run, tmp_path):
    path = shop(tmp_path / "own.csv", "Handle,Name,Shelf,Number,Cost")
    mine = tmp_path / "mine.toml"
    mine.write_text(MINE)
    out = tmp_path / "run"
    code, _, said = run("train", path, "--format", mine, "--out", out, "--no-baseline")
    assert code == 0, said
    assert "Our own export, 40 products in 80 rows" in said
    mine.unlink()
    table, shards = tmp_path / "predictions.csv", tmp_path / "shards"
    code, _, said = run("classify", out, path, "--out", table)
    assert code == 0, said
    assert "Our own export, 40 products in 80 rows" in said
    assert len(table.read_text().splitlines()) == 41
    options = ("--shard-format", "csv", "--shard-rows", 7)
    code, _, said = run("classify", out, path, "--out", f"{shards}/", *options)
    assert code == 0, said
    assert "Our own export" in said
    parts = [part.read_text().splitlines() for part in sorted(shards.glob("part-*.csv"))]
    assert [line for part in parts for line in part[1:]] == table.read_text().splitlines()[1:]
    found = json.loads(run("evaluate", out, path, "--json")[1])
    assert found["rows"]["evaluated"] == 40


def test_a_split_export_is_read_as_before(run, tmp_path):
    path = shop(tmp_path / "export.csv", "Handle,Title,Type,Variant SKU,Variant Price")
    out = tmp_path / "split.csv"
    code, _, said = run("split", path, "--out", out)
    assert code == 0, said
    assert [line.rsplit(",", 1)[0] for line in out.read_text().splitlines()] == path.read_text().splitlines()
    before, after = read(path), read(out)
    assert [p.categories for p in after] == [p.categories for p in before]
    assert after.dialect == before.dialect
    assert set(after.split) == {"train", "test"}
