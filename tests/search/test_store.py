"""Segments: lists beside, many small changes, filters over them; and a manifest that stays true."""

import json

import numpy as np
import pytest

from aisle import search
from aisle.data import Product
from aisle.errors import SearchError
from aisle.search import segment, store
from aisle.search.filters import parse
from aisle.search.manifest import Manifest
from aisle.search.rows import EmbeddedBatch, number, to_arrow
from tests.search.conftest import new_store
from tests.search.filtering import COLUMNS, DIM, rows

WIDE = 24


def clustered(count, seed):
    rng = np.random.default_rng(seed)
    centroids = np.random.default_rng(99).normal(size=(40, WIDE))
    vectors = centroids[rng.integers(0, 40, count)] + 0.4 * rng.normal(size=(count, WIDE))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """8,000 rows in lists, a price each; what a large index does, at a small one's cost."""
    folder = tmp_path_factory.mktemp("large") / "index"
    folder.mkdir()
    vectors = clustered(8_000, 0)
    made = [Product(f"p{i}", {"price": str(i % 1000)}) for i in range(len(vectors))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "LISTED", 4_000)
        table = to_arrow(EmbeddedBatch(made, vectors, [()] * len(made)), COLUMNS, WIDE)
        store.create(folder, Manifest("m", "", {}, WIDE, COLUMNS), [table])
    opened = store.IndexStore.open(folder)
    assert len(opened.segments[0].lists.centroids) == 20
    return opened, vectors


def ids(opened, found):
    return [opened.rows([one.row])[one.row].id for one in found]


def test_lists_find_nearly_what_comparing_all_finds(large):
    opened, vectors = large
    hits = 0
    for query in clustered(50, 5):
        best = {f"p{i}" for i in np.argsort(-(vectors @ query))[:10]}
        found = opened.nearest(query, 10)
        hits += len(best & set(ids(opened, found)))
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert hits / 500 > 0.95


def test_a_narrow_filter_loses_nothing(large):
    opened, vectors = large
    allowed = np.flatnonzero(np.arange(len(vectors)) % 1000 < 8)
    for query in clustered(20, 6):
        best = allowed[np.argsort(-(vectors[allowed] @ query))[:10]]
        found = opened.nearest(query, 10, parse("price < 8", COLUMNS))
        assert ids(opened, found) == [f"p{i}" for i in best]


def test_a_filter_of_one_corner_still_brings_as_many_as_were_asked_for(large):
    opened, vectors = large
    far = -vectors[0]
    found = opened.nearest(far, 700, parse("price < 600", COLUMNS))
    assert len(found) == 700


def test_many_small_changes_make_few_segments_and_lose_nothing(tmp_path):
    opened = new_store(tmp_path / "index")
    for i in range(40):
        opened = opened.add([rows([Product(f"n{i}", {"title": f"thing {i}"})], seed=i)])
        if i % 5 == 0:
            opened = opened.delete([f"n{i}"])
    assert len(opened.segments) < 8
    left = {f"n{i}" for i in range(40) if i % 5} | set("abcde")
    assert set(ids(opened, opened.nearest(np.ones(DIM) / 2, 100))) == left
    assert len(opened) == len(left)
    files = {f.name.split(".")[0] for f in (tmp_path / "index").glob("rows-*")}
    named = {part.name for version in opened.manifest.versions for part in version.parts}
    assert files == named


def test_segments_of_one_build_keep_the_last_row_of_an_id(tmp_path):
    tables = [rows([Product(str(i), {"title": f"{word} {i}"}) for i in range(3)]) for word in ("old", "new")]
    folder = tmp_path / "index"
    folder.mkdir()
    store.create(folder, Manifest("m", "", {}, DIM, COLUMNS), tables, segment_rows=3)
    opened = store.IndexStore.open(folder)
    assert len(opened) == 3
    assert len(opened.segments) == 2
    assert len(opened.nearest(np.ones(DIM) / 2, 10)) == 3
    assert all("new" in opened.rows([opened.find(str(i))])[opened.find(str(i))].fields for i in range(3))


def test_a_damaged_index_is_said_to_be(tmp_path):
    new_store(tmp_path / "index")
    (file,) = (tmp_path / "index").glob("rows-*.arrow")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(SearchError, match="damaged"):
        search.open(tmp_path / "index")
    manifest = tmp_path / "index" / "index.json"
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(told | {"format_version": 99}))
    with pytest.raises(SearchError, match="newer Aisle"):
        search.open(tmp_path / "index")
    manifest.write_text("{}")
    with pytest.raises(SearchError, match="damaged"):
        search.open(tmp_path / "index")


@pytest.mark.parametrize(
    ("text", "value"),
    [("-3", -3.0), ("12.50", 12.5), (" 8 ", 8.0), ("0.125", 0.125), ("1299", 1299.0),
     ("£1,299.00", None), ("12,50 €", None), ("0,125", None), ("1 200", None), ("USD 5", None),
     ("1,299", None),
     ("AB12", None), ("12AB", None), ("007", None), ("-01", None), ("1e5", None), ("+49", None), ("..", None),
     ("", None), ("N/A", None), ("nan", None), ("inf", None), ("١٢", None), ("1234567890123456", None)],
)  # fmt: skip
def test_only_plain_numbers_are_numbers(text, value):
    assert number(text) == value
