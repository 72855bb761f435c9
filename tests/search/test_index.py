"""An index of a shop: made, asked, changed while it is read, killed, and kept to its model."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import aisle
from aisle import search
from aisle.data import ImageRef, Product
from aisle.errors import SearchError
from tests.search.conftest import new_store
from tests.search.filtering import DIM, products, rows


def test_a_product_finds_itself_by_its_words_or_with_its_picture_too(indexed, trained):
    chosen = [p for p in trained.catalog if p.images and p.images[0].path.exists()][:12]
    for images in (False, True):
        queries = [Product("q", p.fields, p.images if images else ()) for p in chosen]
        found = indexed.search(queries, k=5)
        hits = [p.id in [hit.id for hit in hits] for p, hits in zip(chosen, found, strict=True)]
        assert np.mean(hits) >= 0.9, images


def test_a_picture_alone_is_a_query(indexed, trained):
    pictured = [p for p in trained.catalog if p.images and p.images[0].path.exists()][:3]
    found = indexed.search([Product("q", images=p.images) for p in pictured], k=5)
    expected = trained.model.embed([Product("q", images=p.images) for p in pictured])
    assert all(len(hits) == 5 and all(hit.words is None for hit in hits) for hits in found)
    vectors = indexed.store.segments[0].vectors
    for hits, vector in zip(found, expected, strict=True):
        assert hits[0].similarity == pytest.approx(
            (vectors @ vector).max() / np.linalg.norm(vector), abs=1e-5
        )


def test_exact_search_is_the_cosines_of_all_vectors(indexed, trained):
    vectors = trained.model.embed(trained.catalog)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)
    query = trained.catalog[5]
    (hits,) = indexed.search([query], k=7, mode="vectors")
    similarity = vectors @ vectors[5]
    assert [hit.similarity for hit in hits] == pytest.approx(np.sort(similarity)[::-1][:7], abs=1e-5)
    assert hits[0].similarity == pytest.approx(1.0, abs=1e-5)
    assert hits[0].id == query.id
    assert [hit.id for hit in indexed.more_like(query.id, k=6)] == [hit.id for hit in hits[1:]]


def test_filters_hold_for_every_hit_and_lose_none(indexed, trained):
    top = trained.catalog.taxonomy.nodes[0].path
    where = f"category under '{top[0]}' and price < 60"
    (hits,) = indexed.search([Product("q", {"title": "blue"})], k=240, where=where, mode="vectors")
    assert all(hit.category[0] == top[0] and float(hit.fields["price"]) < 60 for hit in hits)
    rightful = [
        p
        for p in trained.catalog
        if p.categories and p.categories[0][0] == top[0] and float(p.fields.get("price", "99")) < 60
    ]
    assert len(hits) >= min(len(rightful), 100) > 10


def test_exact_words_find_what_vectors_cannot(indexed):
    rare = Product("x", {"title": "thing ZX-9041Q", "description": "spare part"})
    try:
        indexed.add([rare])
        (both,) = indexed.search([Product("q", {"title": "zx9041q"})], k=3)
        assert "x" in [hit.id for hit in both]
        (words,) = indexed.search([Product("q", {"title": "ZX-9041Q"})], k=3, mode="words")
        assert [hit.id for hit in words] == ["x"]
        assert words[0].similarity is None
    finally:
        indexed.delete(["x"])


def test_a_query_that_says_nothing_is_an_error(indexed):
    with pytest.raises(SearchError, match="nothing to search by"):
        indexed.search([Product("q")])
    with pytest.raises(SearchError, match="nothing to search by"):
        indexed.search([Product("q", images=(ImageRef(data=b"no image"),))])
    with pytest.raises(SearchError, match="'nobody' is not in"):
        indexed.more_like("nobody")
    with pytest.raises(SearchError, match="at least 1"):
        indexed.search([Product("q", {"title": "mug"})], k=0)


def test_another_model_is_an_error(indexed, trained, tmp_path):
    import dataclasses

    other = dataclasses.replace(trained.model, model_id="another")
    with pytest.raises(SearchError, match=f"made by model {trained.model.model_id}.*another"):
        search.open(indexed.folder, other)
    moved = json.loads((indexed.folder / "index.json").read_text())
    assert moved["model_id"] == trained.model.model_id
    with pytest.raises(SearchError, match="--model"):
        search.open(indexed.folder, tmp_path / "tombstones")
    (hits,) = search.open(indexed.folder).search([Product("q", {"title": "mug"})], k=2)
    assert len(hits) == 2


def test_what_is_no_index_is_said(tmp_path, indexed, trained):
    with pytest.raises(SearchError, match="is not there"):
        search.open(tmp_path / "none")
    with pytest.raises(SearchError, match="is no index"):
        search.open(tmp_path)
    with pytest.raises(SearchError, match="--replace"):
        search.build(trained.model, trained.catalog, indexed.folder, run=trained.run)
    (tmp_path / "file").write_text("x")
    with pytest.raises(SearchError, match="no index"):
        search.build(trained.model, trained.catalog, tmp_path, run=trained.run, replace=True)
    with pytest.raises(SearchError, match="no row"):
        search.build(trained.model, trained.catalog.select([]), tmp_path / "empty", run=trained.run)


# -- rows that change ---------------------------------------------------------------------------


def test_rows_are_inserted_updated_and_deleted_while_being_read(tmp_path):
    writer = new_store(tmp_path / "index")
    reader = search.open(tmp_path / "index")
    assert len(reader) == 5
    first = writer.version.number
    changed = Product("a", {"title": "Sandals", "price": "5"}, categories=(("Apparel", "Shoes"),))
    writer = writer.add([rows([changed, Product("f", {"title": "New mug"})], seed=1)])
    assert len(reader) == 6
    assert reader.get("a").fields["title"] == "Sandals"
    assert told(reader.store, "sandals") == ["a"]
    assert not reader.store.matching("o'neill", 3)
    writer = writer.delete(["f", "b", "nobody"])
    assert len(reader) == 4
    assert reader.get("b") is None
    assert not reader.store.matching("mug", 3)
    old = search.open(tmp_path / "index", version=first)
    assert len(old) == 5
    assert old.get("a").fields["title"] == "O'Neill boots"
    assert first in [v.number for v in reader.versions]
    with pytest.raises(SearchError, match="no version 99"):
        search.open(tmp_path / "index", version=99)


def told(store, text):
    return [row.id for row in store.rows(one.row for one in store.matching(text, 3)).values()]


def test_everything_may_be_deleted_and_come_back(tmp_path):
    store = new_store(tmp_path / "index").delete([p.id for p in products()])
    assert len(store) == 0
    assert store.nearest(np.ones(DIM) / 2, 3) == []
    assert store.matching("boots", 3) == []
    store = store.add([rows()])
    assert told(store, "wh1000xm4") == ["d"]
    assert told(store, "WH-1000XM4") == ["d"]


def test_two_writers_do_not_meet(tmp_path):
    from aisle.search.manifest import writing

    new_store(tmp_path / "index")
    with writing(tmp_path / "index"), pytest.raises(SearchError, match="another process is writing"):
        search.open(tmp_path / "index").delete(["a"])


KILLED = """
import os, sys
from pathlib import Path
from aisle.search import open
from aisle.search.manifest import writing
from tests.search.filtering import rows
from aisle.data import Product
folder = Path(sys.argv[1])
with writing(folder):
    store = open(folder).store
    for number in range(10_000):
        store = store.latest().add([rows([Product(f"n{number}", {"title": "added"})], seed=number)])
        print(number, flush=True)
"""


@pytest.mark.slow
def test_a_killed_writer_loses_no_acknowledged_row(tmp_path):
    new_store(tmp_path / "index")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "index")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        for line in process.stdout:
            acknowledged = int(line)
            if acknowledged >= 3:
                process.kill()
                break
        acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
    index = search.open(tmp_path / "index")
    assert len(index) in (5 + acknowledged + 1, 5 + acknowledged + 2)
    assert all(index.get(f"n{i}") for i in range(acknowledged + 1))
    assert len(index.store.nearest(np.ones(DIM) / 2, 100)) == len(index)
    index.delete(["n0"])  # its lock went with it
    assert index.get("n0") is None


def test_a_build_that_was_killed_leaves_what_was_there(tmp_path, trained, monkeypatch):
    few = trained.catalog.select(np.arange(10))
    index = search.build(trained.model, few, tmp_path / "index", run=trained.run)
    left = tmp_path / ".index.0badf00d.part"
    left.mkdir()
    index.folder.rename(tmp_path / ".index.0badf00d.old")  # as if killed between the two renames
    assert len(search.open(tmp_path / "index")) == 10
    assert not left.exists()
    built = search.build(
        trained.model,
        trained.catalog.select(np.arange(20)),
        tmp_path / "index",
        run=trained.run,
        replace=True,
    )
    assert len(built) == 20
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index"]


def test_rows_of_one_id_are_one_product(tmp_path, trained):
    twice = aisle.read([Product("a", {"title": "old mug"}), Product("a", {"title": "new mug"})])
    index = search.build(trained.model, twice, tmp_path / "index", run=trained.run)
    assert len(index) == 1
    assert index.get("a").fields["title"] == "new mug"
    assert index.get("a").category[0] in {node.path[0] for node in trained.model.taxonomy.nodes}


def test_what_words_find_is_as_alike_as_it_is(indexed, trained):
    """A product that the vectors' ranking did not bring has a cosine all the same: it is in the score."""
    title = trained.catalog[3].fields["title"]
    for text, least in (("mug blue", 0.0), ("mug qwxyz", 0.0), (title, 0.0), (title, 0.5)):
        images = next(p for p in trained.catalog if p.images).images if least else ()
        query = Product("q", {"title": text}, images)
        (found,) = indexed.search([query], k=20)
        by_words = {hit.id: hit.words for hit in indexed.search([query], k=len(indexed), mode="words")[0]}
        alike = {hit.id: hit.similarity for hit in indexed.search([query], k=len(indexed), mode="vectors")[0]}
        coverage = max(match.coverage for match in indexed.store.matching(text, len(indexed)))
        assert (coverage == pytest.approx(1)) == (text == title)
        weight, best = max(1 - coverage, least), max(by_words.values())
        for hit in found:
            assert hit.similarity == pytest.approx(alike[hit.id], abs=1e-6)
            score = weight * alike[hit.id] + (1 - weight) * by_words.get(hit.id, 0.0) / best
            assert hit.score == pytest.approx(score, abs=1e-6)
        order = [(-round(hit.score, 9), -hit.similarity) for hit in found]
        assert order == sorted(order)  # of equal scores, the more similar is first
