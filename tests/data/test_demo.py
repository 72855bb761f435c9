"""The sample shop has the flaws, the rare categories and the difficulty that docs/demo.md describes."""

import csv
import json
import re
from collections import Counter, defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from aisle.data import read as aisle_read
from aisle.data.demo import Shop, make_shop
from aisle.data.splits import leakage
from aisle.errors import CatalogError


class Read(NamedTuple):
    shop: Shop
    rows: list[dict[str, str]]
    incoming: list[dict[str, str]]
    truth: dict

    def side(self, split: str) -> list[dict[str, str]]:
        return [row for row in self.rows if row["split"] == split]


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def read(shop: Shop) -> Read:
    truth = json.loads(shop.truth.read_text(encoding="utf-8"))
    return Read(shop, rows_of(shop.products), rows_of(shop.incoming), truth)


def images_of(row: dict[str, str]) -> list[str]:
    return row["images"].split("|") if row["images"] else []


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Read:
    return read(make_shop(tmp_path_factory.mktemp("small"), products=240, seed=3))


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Read:
    return read(make_shop(tmp_path_factory.mktemp("full")))


# -- files ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_shop(tmp_path):
    first, again, other = (
        make_shop(tmp_path / n, products=120, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2))
    )
    assert contents(first.folder) == contents(again.folder)
    assert first.image_only == again.image_only
    assert first.products.read_bytes() != other.products.read_bytes()


@pytest.mark.slow
def test_a_shop_may_be_written_over_another(tmp_path):
    make_shop(tmp_path / "both", products=130, seed=2)
    over, alone = (make_shop(tmp_path / n, products=130, seed=1) for n in ("both", "alone"))
    written, wanted = contents(over.folder), contents(alone.folder)
    assert {name: written[name] for name in wanted} == wanted
    absent = [id for id, flaw in read(over).truth["broken"].items() if flaw == "absent"]
    named = [name for row in read(over).rows if row["id"] in absent for name in images_of(row)]
    assert not any(name in written for name in named)


def test_the_labelled_file_has_the_rows_asked_for_and_incoming_has_no_labels(small):
    assert len(small.rows) == 240
    columns = ["id", "title", "description", "brand", "colour", "price", "category", "images", "split"]
    assert list(small.rows[0]) == columns
    assert list(small.incoming[0]) == [c for c in columns if c not in ("category", "split")]
    ids = [row["id"] for row in small.rows + small.incoming]
    assert len(set(ids)) == len(ids)
    assert set(small.truth["labels"]) == set(ids)
    assert {row["split"] for row in small.rows} == {"train", "test"}
    assert all(row["title"].strip() and float(row["price"]) > 0 for row in small.rows)


def test_the_shop_object_and_the_truth_file_name_the_same_image_only_products(small):
    assert small.shop.image_only == set(small.truth["image_only"])
    everything = {row["id"]: row for row in small.rows + small.incoming}
    for id in small.shop.image_only:
        assert len(images_of(everything[id])) in (1, 2)
        assert id not in small.truth["broken"]


class Counted:
    """A progress that adds up what it is told."""

    def __init__(self):
        self.total, self.done = None, 0

    @contextmanager
    def __call__(self, label, total=None, unit="products"):
        self.total = total
        yield self.advance

    def advance(self, n):
        self.done += n

    def say(self, message):
        raise AssertionError(message)


def test_progress_is_told_of_every_row(tmp_path):
    progress = Counted()
    make_shop(tmp_path, products=120, progress=progress)
    assert progress.total == progress.done == 140


def test_too_small_a_shop_and_an_unwritable_folder_are_refused(tmp_path):
    with pytest.raises(CatalogError, match="120 or more"):
        make_shop(tmp_path, products=50)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CatalogError, match="cannot be written"):
        make_shop(tmp_path / "file", products=120)


# -- tree -------------------------------------------------------------------------------------


def test_the_tree_is_ragged_with_three_levels_and_assignable_interior_nodes(small):
    labels = {tuple(row["category"].split(" > ")) for row in small.rows}
    interior = {label[:depth] for label in labels for depth in range(1, len(label))}
    leaves = labels - interior
    assert len(leaves) >= 40
    assert {len(leaf) for leaf in leaves} == {2, 3}
    assert labels & interior == {("Bags & Accessories", "Bags"), ("Home & Living", "Kitchen")}


@pytest.mark.slow
def test_classes_have_a_long_tail(full):
    sizes = Counter(row["category"] for row in full.rows)
    assert len(full.rows) == 2000
    assert max(sizes.values()) >= 200
    assert sum(size <= 5 for size in sizes.values()) >= 6
    assert min(sizes.values()) == 1
    fifth = sorted(sizes.values(), reverse=True)[: len(sizes) // 5]
    assert sum(fifth) > 1000


# -- noise ------------------------------------------------------------------------------------


def test_broken_pictures_fail_to_decode_and_all_others_decode(small):
    broken, kinds = small.truth["broken"], set()
    for row in small.rows + small.incoming:
        for name in images_of(row):
            file = small.shop.folder / name
            if row["id"] in broken:
                kinds.add(broken[row["id"]])
                with pytest.raises((OSError, SyntaxError)), Image.open(file) as picture:
                    picture.load()
            else:
                with Image.open(file) as picture:
                    picture.load()
                    assert 96 <= min(picture.size) <= max(picture.size) <= 160
    assert kinds == {"truncated", "empty", "text", "absent"}


def test_relisted_items_share_their_pictures_and_their_side(small):
    rows = {row["id"]: row for row in small.rows}
    assert len(small.truth["duplicates"]) >= 3
    for ids in small.truth["duplicates"]:
        assert len({rows[id]["split"] for id in ids}) == 1
        assert len({small.truth["labels"][id] for id in ids}) == 1
        shown = [images_of(rows[id]) for id in ids if id not in small.truth["broken"]]
        first = [(small.shop.folder / names[0]).read_bytes() for names in shown if names]
        assert len(set(first)) <= 1


def test_the_catalogue_reader_finds_the_rows_the_split_and_no_leak_in_it(small):
    catalog = aisle_read(small.shop.products)
    assert [product.id for product in catalog] == [row["id"] for row in small.rows]
    assert [str(side) for side in catalog.split] == [row["split"] for row in small.rows]
    assert leakage(catalog) == []
    absent = {row["id"] for row in small.rows if small.truth["broken"].get(row["id"]) == "absent"}
    assert {small.rows[problem.row - 1]["id"] for problem in catalog.problems} == absent


@pytest.mark.slow
def test_the_split_leaks_neither_words_nor_pictures(full):
    assert leakage(aisle_read(full.shop.products)) == []
    # Different items may have nearly the same title; what they look like is never the same.
    pictures_alone = aisle_read(full.shop.products, columns={"title": "", "description": ""})
    assert leakage(pictures_alone, near=True) == []


@pytest.mark.slow
def test_sellers_write_in_four_languages_and_carelessly(full):
    languages = Counter(full.truth["languages"].values())
    assert set(languages) == {"en", "de", "fr", "es"}
    assert min(languages.values()) > 0.1 * sum(languages.values())
    titles = [row["title"] for row in full.rows]
    share = len(full.rows) / 100
    assert sum(title.isupper() for title in titles) > 4 * share
    assert sum(bool(re.search("[\U0001f300-\U0001faff✨✅❤‼]", title)) for title in titles) > 5 * share
    assert (
        sum(bool(re.search(r"&\w+;|<p>", row["title"] + row["description"])) for row in full.rows) > 4 * share
    )
    assert 25 * share < sum(not row["description"] for row in full.rows) < 35 * share
    assert 7 * share < sum(not row["images"] for row in full.rows) < 9 * share
    assert len(set(titles)) > 0.9 * len(titles)


@pytest.mark.slow
def test_one_label_in_fifty_is_wrong(full):
    wrong = {row["id"] for row in full.rows if row["category"] != full.truth["labels"][row["id"]]}
    assert wrong == set(full.truth["mislabelled"])
    assert 0.015 <= len(wrong) / len(full.rows) <= 0.025


# -- difficulty -------------------------------------------------------------------------------


def texts(rows: list[dict[str, str]]) -> list[str]:
    return [f"{row['title']} {row['description']}" for row in rows]


def siblings(full: Read) -> dict[str, list[str]]:
    """Per aisle, the shelves whose picture-only products share one pool of texts."""
    found: dict[str, set[str]] = defaultdict(set)
    for id in full.shop.image_only:
        label = full.truth["labels"][id]
        found[label.rsplit(" > ", 1)[0]].add(label)
    return {aisle: sorted(labels) for aisle, labels in found.items()}


@pytest.mark.slow
def test_one_product_in_ten_is_image_only_among_two_or_more_siblings(full):
    for rows in (full.rows, full.side("train"), full.side("test"), full.incoming):
        assert sum(row["id"] in full.shop.image_only for row in rows) >= 0.1 * len(rows)
    assert all(len(labels) >= 2 for labels in siblings(full).values())
    counts = Counter(
        full.truth["labels"][row["id"]] for row in full.rows if row["id"] in full.shop.image_only
    )
    assert max(counts.values()) - min(counts.values()) <= 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "lexical",
    [
        TfidfVectorizer(sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
    ],
    ids=["words", "characters"],
)
def test_a_linear_svm_learns_the_shop_but_stays_below_ninety_percent(full, lexical):
    train, test = full.side("train"), full.side("test")
    model = make_pipeline(lexical, LinearSVC(random_state=0))
    model.fit(texts(train), [row["category"] for row in train])
    right = model.predict(texts(test)) == np.array([row["category"] for row in test])
    assert 0.6 < right.mean() < 0.9
    pictured = np.array([row["id"] in full.shop.image_only for row in test])
    group = siblings(full)
    chance = np.mean(
        [
            1 / len(group[full.truth["labels"][row["id"]].rsplit(" > ", 1)[0]])
            for row in test
            if row["id"] in full.shop.image_only
        ]
    )
    spread = np.sqrt(chance * (1 - chance) / pictured.sum())
    assert right[pictured].mean() < chance + 2 * spread
    assert right[~pictured].mean() > right[pictured].mean() + 0.2


def gradients(file: Path) -> np.ndarray:
    """Histograms of oriented gradients over an 8 × 8 grid, (8 * 8 * 8,): the shape without its colour."""
    with Image.open(file) as picture:
        grey = np.asarray(picture.convert("L").resize((64, 64)), dtype=float)
    down, across = np.gradient(grey)
    strength, angle = np.hypot(down, across), (np.arctan2(down, across) % np.pi) / np.pi * 7.999
    cells = np.zeros((8, 8, 8))
    rows, columns = np.indices(grey.shape) // 8
    np.add.at(cells, (rows, columns, angle.astype(int)), strength)
    flat = cells.reshape(64, 8)
    return np.sqrt(flat / (flat.sum() + 1e-9)).ravel()


@pytest.mark.slow
def test_the_picture_tells_the_image_only_products_apart(full):
    group = siblings(full)
    shelves = {label for labels in group.values() for label in labels}
    parts: dict[str, list[dict[str, str]]] = {"train": [], "test": []}
    for row in full.rows:
        if row["category"] in shelves and images_of(row) and row["id"] not in full.truth["broken"]:
            parts[row["split"]].append(row)
    parts["test"] = [row for row in parts["test"] if row["id"] in full.shop.image_only]
    seen = {
        side: np.stack([gradients(full.shop.folder / images_of(r)[0]) for r in rows])
        for side, rows in parts.items()
    }
    right, chance = 0.0, 0.0
    for labels in group.values():
        here = {
            side: [i for i, r in enumerate(rows) if r["category"] in labels] for side, rows in parts.items()
        }
        model = make_pipeline(StandardScaler(), LinearSVC(C=1e-3, class_weight="balanced", random_state=0))
        model.fit(seen["train"][here["train"]], [parts["train"][i]["category"] for i in here["train"]])
        truth = np.array([parts["test"][i]["category"] for i in here["test"]])
        right += (model.predict(seen["test"][here["test"]]) == truth).sum()
        chance += len(truth) / len(labels)
    total = len(parts["test"])
    assert right / total > chance / total + 0.2
