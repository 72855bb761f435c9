"""Splits: whole, disjoint, stratified to the row, duplicates on one side, the same for the same seed."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aisle.data import read
from aisle.data.splits import assign, folds, leakage, split, split_by_time
from aisle.errors import CatalogError
from tests.shared import DATA, needs_shared

shapes = st.lists(st.integers(1, 30), min_size=1, max_size=25)


@settings(deadline=None)
@given(shapes, st.sampled_from([[0.8, 0.1, 0.1], [0.5, 0.5], [0.7, 0.0, 0.3]]), st.integers(0, 9))
def test_every_class_and_the_whole_keep_their_shares_to_a_row(sizes, fractions, seed):
    node = np.repeat(np.arange(len(sizes)), sizes)
    shares = np.array(fractions)
    part = assign(node, np.arange(len(node)), shares, seed)
    assert (part == assign(node, np.arange(len(node)), shares, seed)).all()
    for rows in [np.arange(len(node)), *(np.flatnonzero(node == c) for c in range(len(sizes)))]:
        counts = np.bincount(part[rows], minlength=len(shares))
        assert (abs(counts - shares * len(rows)) < len(shares)).all()
        assert not counts[shares == 0].any()


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), min_size=1, max_size=60), st.integers(2, 5))
def test_groups_stay_together(rows, k):
    node, groups = np.array(rows).T
    part = assign(node, groups, np.full(k, 1 / k), 0)
    assert all(len(set(part[groups == g])) == 1 for g in groups)
    assert set(part) <= set(range(k))


def test_classes_of_one_are_shared_out_too():
    node = np.arange(1000)
    assert np.bincount(assign(node, node, np.array([0.8, 0.2]), 3)) == pytest.approx([800, 200], abs=1)


def test_seeds_differ_and_fatal_rows_are_in_no_part():
    rows = [{"title": f"word{i}", "category": f"c{i % 3}"} for i in range(60)] + [
        {"title": "", "category": "c0"}
    ]
    catalog = read(rows)
    first, again, other = (split(catalog, [0.5, 0.5], seed) for seed in (0, 0, 1))
    assert [p.tolist() for p in first] == [p.tolist() for p in again]
    assert first[0].tolist() != other[0].tolist()
    assert sorted(np.concatenate(first).tolist()) == list(range(60))
    assert folds(catalog, 4).tolist()[-1] == -1
    assert np.bincount(folds(catalog, 4)[:60]).tolist() == [15] * 4
    with pytest.raises(CatalogError, match="sum to 1"):
        split(catalog, [0.5, 0.6])
    with pytest.raises(CatalogError, match="at least 2"):
        folds(catalog, 1)


def picture(seed, size=(120, 90), quality=92):
    noise = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(noise.integers(0, 255, (n, n), np.uint8)).resize((240, 180)), float) / n
        for n in (4, 8, 16, 32)
    ]
    total = sum(layers)
    out = io.BytesIO()
    image = Image.fromarray((255 * (total - total.min()) / np.ptp(total)).astype(np.uint8))
    image.resize(size).save(out, "JPEG", quality=quality)
    return out.getvalue()


def test_what_shows_the_same_product_is_one_group():
    rows = [
        {"title": "Red Boots!", "image": picture(1)},
        {"title": "red  boots", "image": picture(2)},  # same words as 0
        {"title": "Lamp", "image": picture(2)},  # same picture as 1
        {"title": "Tent", "image": picture(1, (200, 150), 60)},  # looks like 0
        {"title": "Desk", "image": picture(3), "group": "g"},
        {"title": "Chair", "image": picture(4), "group": "g"},  # same group as 4
        {"title": "Rug", "image": b"no picture"},
    ]
    catalog = read(rows)
    assert catalog.groups(near=False).tolist() == [0, 0, 0, 1, 2, 2, 3]
    assert catalog.groups().tolist() == [0, 0, 0, 0, 1, 1, 2]
    assert catalog.select([6, 3, 0]).groups().tolist() == [1, 0, 0]


def test_a_split_by_time_puts_the_newest_last_and_groups_where_their_newest_is():
    days = [5, 1, 9, 3, 7, 2, 8, 4, 6, 10]
    rows = [{"title": f"t{d}", "date": f"2026-01-{d:02d}"} for d in days] + [{"title": "undated", "date": ""}]
    rows.append({"title": "T10", "date": "2026-01-01"})  # the same product as day 10's
    catalog = read(rows)
    old, new = split_by_time(catalog, [0.75, 0.25])
    assert [rows[i]["title"] for i in new] == ["t9", "t10", "T10"]
    assert sorted([*old, *new]) == list(range(12))
    with pytest.raises(CatalogError, match="needs a date column"):
        split_by_time(read([{"title": "a"}]), [0.5, 0.5])


def test_leakage_of_a_given_split_is_told():
    rows = [
        {"title": "a", "split": "train"},
        {"title": "A", "split": "test"},
        {"title": "b", "split": "test"},
        {"title": "b", "split": "test"},
        {"title": "c", "split": ""},
        {"title": "c", "split": "train"},
    ]
    (leak,) = leakage(read(rows))
    assert (leak.rows.tolist(), leak.splits) == ([0, 1], ("test", "train"))
    assert leakage(read([{"title": "a"}])) == []


def test_keys_say_what_a_row_says_not_its_id_or_label():
    rows = [
        {"id": "1", "title": "Boots", "category": "A", "split": "train"},
        {"id": "2", "title": "boots!", "category": "B", "split": "test"},
        {"id": "3", "title": "Lamp", "category": "A", "split": "train"},
        {"id": "4", "title": "", "image": b"x"},
        {"id": "5", "title": None, "image": b"y"},
    ]
    keys = read(rows).keys()
    assert keys[0] == keys[1]
    assert len(set(keys.tolist())) == 4


@needs_shared
def test_real_duplicates_stay_together():
    catalog = read(DATA / "luma" / "products.csv")
    part = folds(catalog, 5, seed=1)
    families = np.array([catalog.raw(i)["group_id"] for i in range(len(catalog))])
    assert all(len(set(part[families == family])) == 1 for family in set(families))
    assert np.ptp(np.bincount(part)) <= 20
