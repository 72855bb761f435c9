"""`aisle embed`, `aisle index` and `aisle search`, as typed."""

import csv
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from aisle.cli import register
from aisle.data.vectors import VectorFile
from aisle.errors import AisleError


def run(*words):
    done = CliRunner().invoke(register(), [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def run_json(*words):
    return json.loads(run(*words, "--json"))


def test_vectors_are_written_row_by_row_and_read_as_a_catalogues_vectors(trained, shop, tmp_path):
    for name in ("vectors.parquet", "vectors.npz"):
        told = run_json("embed", trained.run, shop.incoming, "--out", tmp_path / name)
        file = VectorFile(tmp_path / name)
        assert told["rows"] == len(file) > 0
        assert file.values.shape[1] == told["dim"]
        lengths = np.linalg.norm(np.asarray(file.values), axis=1)
        assert np.allclose(lengths[lengths > 0], 1, atol=1e-5)
    ids = pq.read_table(tmp_path / "vectors.parquet").column("id").to_pylist()
    with shop.incoming.open(newline="") as lines:
        assert [row["id"] for row in csv.DictReader(lines)] == ids
    with pytest.raises(AisleError, match="name a file ending in one"):
        run("embed", trained.run, shop.incoming, "--out", tmp_path / "vectors.txt")


@pytest.mark.slow
def test_an_index_is_made_searched_added_to_and_deleted_from(trained, shop, tmp_path):
    made = run_json("index", trained.run, shop.products, "--out", tmp_path / "index")
    assert made["products"] == len(trained.catalog)
    found = run_json(
        "search", tmp_path / "index", "--text", "running shoes", "-k", "5", "--where", "price < 500"
    )
    assert len(found["hits"]) == 5
    assert all(float(hit["fields"]["price"]) < 500 for hit in found["hits"])
    first = found["hits"][0]
    like = run_json("search", tmp_path / "index", "--product", first["id"])
    assert first["id"] not in [hit["id"] for hit in like["hits"]]
    image = next(p.images[0].path for p in trained.catalog if p.images and p.images[0].path.exists())
    page = tmp_path / "sheet.html"
    run("search", tmp_path / "index", "--image", image, "--text", "<b>shoes", "--html", page)
    written = page.read_text()
    assert "data:image/jpeg" in written
    assert "<b>shoes" not in written
    assert "http" not in written.replace("http-equiv", "")
    more = run_json("index", trained.run, shop.incoming, "--out", tmp_path / "index", "--add")
    assert more["products"] > made["products"]
    less = run_json("index", trained.run, shop.incoming, "--out", tmp_path / "index", "--delete")
    assert less["products"] == made["products"]
    assert less["deleted"] == more["products"] - made["products"]
    versions = run_json("search", tmp_path / "index", "--versions")
    assert [v["version"] for v in versions] == [1, 2, 3]
    old = run_json("search", tmp_path / "index", "--text", "shoes", "--version", "1")
    assert len(old["hits"]) == 10


def test_a_table_is_whole_in_a_pipe_and_wrong_use_is_said(indexed):
    table = run("search", indexed.folder, "--text", "shoes", "-k", "3")
    assert len(table.splitlines()) == 4
    assert "…" not in table
    for words, said in [
        ((), "name a query"),
        (("--text", " "), "name a query"),
        (("--text", "a", "--product", "b"), "cannot be combined with --text or --image"),
        (("--image", "nothing.jpg"), "is not there"),
        (("--text", "a", "--mode", "magic"), "vectors, words or both"),
        (("--text", "a", "--html", "no/where.html"), "does not exist"),
    ]:
        with pytest.raises(AisleError, match=said):
            run("search", indexed.folder, *words)


@pytest.mark.slow
@pytest.mark.parametrize("query", ["red running shoes", "blue wool scarf kitchen"])
def test_the_page_is_in_the_order_that_it_says(indexed, tmp_path, query):
    """By words and vectors the mean of both counts, and the page says so; by one of them alone, that one."""
    page = tmp_path / "sheet.html"
    for words, said, number in (
        (("--mode", "both"), "best match first", r">match (-?[\d.]+)<"),
        (("--mode", "vectors"), "most alike first", r">like (-?[\d.]+)<"),
        (("--mode", "words"), "best fitting words first", r">words (-?[\d.]+)<"),
    ):
        run("search", indexed.folder, "--text", query, "-k", 30, "--html", page, *words)
        written = page.read_text()
        shown = [float(text) for text in re.findall(number, written)]
        assert len(shown) == written.count("<li>") > 5
        assert shown == sorted(shown, reverse=True)
        assert said in written
        others = {"best match first", "most alike first", "best fitting words first"} - {said}
        assert not [one for one in others if one in written]
        table = run("search", indexed.folder, "--text", query, "-k", 30, *words).splitlines()
        first = [float(line.split()[1]) for line in table[1:]]
        assert first == sorted(first, reverse=True)


def test_the_page_says_of_how_many_products_a_filter_lets_through(indexed, tmp_path):
    page = tmp_path / "sheet.html"
    run("search", indexed.folder, "--text", "clock", "-k", 3, "--html", page, "--where", "price < 50")
    assert f"3 of {indexed.count('price < 50'):,} products where" in page.read_text()
    assert 3 < indexed.count("price < 50") < indexed.count() == len(indexed)
