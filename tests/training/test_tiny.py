"""Catalogues of one to three rows, of one category, of one group; and views that only few rows have."""

import csv
import dataclasses

import numpy as np
import pytest

import aisle
from aisle.data import Product, read
from aisle.errors import CatalogError
from aisle.training.recipe import shipped
from tests.models.pretrained import tiny_camembert, tiny_flaubert, tiny_text, tiny_vision
from tests.training.shop import products
from tests.training.test_shipped import WORDS, small

PEN, MUG, HAT = ("red pen", "Pens"), ("blue mug", "Mugs"), ("green hat", "Hats")
UNREADABLE = aisle.ImageRef(data=b"no picture")


QUICK = ("views.image.size=32",)


def table(rows, **more):
    return [{"id": f"p{i}", "title": t, "category": c, **more} for i, (t, c) in enumerate(rows)]


def answers(model, catalog):
    return [found.best[-1] for found in model.predict(catalog)]


@pytest.mark.parametrize(
    "rows",
    [
        [PEN],
        [PEN, MUG],
        [PEN, MUG, HAT],
        [("red mug", "Mugs"), ("blue mug", "Cups")],  # one word in common, and it says nothing
        [PEN, ("old pen", "Pens")],
    ],
)
def test_fast_learns_one_to_three_rows(rows, tmp_path):
    shop = read(table(rows))
    aisle.train(shop, "fast", changes=QUICK, out=tmp_path / "run", track=[])
    model = aisle.load(tmp_path / "run")
    assert answers(model, shop) == [category for _, category in rows]
    np.testing.assert_allclose(np.exp(model.score(shop).all()).sum(1), 1, rtol=1e-5)


def test_two_rows_of_which_one_has_no_label(tmp_path):
    shop = read(table([PEN, ("blue mug", "")]))
    aisle.train(shop, "fast", changes=QUICK, out=tmp_path / "run", track=[])
    model = aisle.load(tmp_path / "run")
    assert [node.name for node in model.taxonomy.nodes] == ["Pens"]
    assert answers(model, shop) == ["Pens", "Pens"]


@pytest.mark.parametrize("seed", range(6))
def test_rows_of_one_group_are_all_learned_from(seed):
    """A group lies in one part; were that kept aside, nothing would be left to learn from."""
    shop = read(table([PEN, MUG, HAT, ("old pen", "Pens")], group="the same"))
    model = aisle.train(shop, "fast", changes=[*QUICK, f"seed={seed}"])
    assert model.results["training_products"] == 4
    assert answers(model, shop) == ["Pens", "Mugs", "Hats", "Pens"]


def test_a_given_tree_is_answered_from_whole(tmp_path):
    (tmp_path / "tree.csv").write_text("path\nPens\nMugs\nToys > Blocks\n")
    shop = read(table([PEN, MUG]), taxonomy=tmp_path / "tree.csv")
    model = aisle.train(shop, "fast", changes=QUICK)
    assert answers(model, shop) == ["Pens", "Mugs"]
    assert {node.name for node in model.taxonomy.nodes} == {"Pens", "Mugs", "Toys", "Blocks"}


def test_no_labelled_row_is_one_line_and_leaves_no_folder(tmp_path, typed):
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "title", "category"], ["1", "red pen", ""], ["2", "mug", ""]])
    code, _, told = typed("train", tmp_path / "rows.csv", "--out", tmp_path / "run")
    assert code == 2
    assert told.strip().splitlines()[-1].startswith("error: no row has a usable category")
    assert "Traceback" not in told
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("pretrained")
    return {
        "text": tiny_text(home / "text", WORDS),
        "camembert": tiny_camembert(home / "camembert", WORDS),
        "flaubert": tiny_flaubert(home / "flaubert", WORDS),
        "vision": tiny_vision(home / "vision", 32),
    }


RECIPES = [(name, count) for name in shipped() if name != "fast" for count in (1, 2)]


@pytest.mark.parametrize(
    ("name", "count"),
    [pytest.param(*one, marks=() if one == ("simple", 1) else pytest.mark.slow) for one in RECIPES],
)
def test_every_shipped_recipe_learns_one_row_and_two(name, count, folders, tmp_path):
    shop = read([Product(p.id, p.fields, p.images, {}, p.categories) for p in products(count)])
    aisle.train(shop, small(name, folders), out=tmp_path / "run", track=[])
    model = aisle.load(tmp_path / "run")
    assert len(model.taxonomy.terminals) == count
    np.testing.assert_allclose(np.exp(model.score(shop).all()).sum(1), 1, rtol=1e-5)


# -- views that few rows have ------------------------------------------------------------------------------


class Lines:
    """Progress that keeps what is said."""

    def __init__(self):
        self.said = []

    def __call__(self, *_, **__):
        return aisle.progress.SILENT("")

    def say(self, message):
        self.said.append(message)


def linear(views, **more):
    return {"family": "linear", "views": views, **more}


@pytest.fixture
def unreadable(folders):
    """Rows of images that nobody can read, and a recipe that reads them."""
    rows = [Product(p.id, p.fields, (UNREADABLE,), {}, p.categories) for p in products(40)]
    views = {"title": {"type": "Tfidf", "min_df": 1}, "image": {"type": "ImageEncoder", "size": 32}}
    return rows, linear(views, image_encoder=str(folders["vision"]))


@pytest.mark.slow
def test_an_image_view_that_nobody_can_read_is_left_out_and_said(unreadable):
    rows, given = unreadable
    lines = Lines()
    model = aisle.train(read(rows), given, progress=lines)
    assert "view 'image' is left out: no row has one that can be read" in lines.said
    assert model.views == ("title",)


@pytest.mark.slow
def test_no_view_that_anybody_can_read_is_refused(unreadable, tmp_path):
    rows, given = unreadable
    given = given | {"views": {"image": given["views"]["image"]}}
    with pytest.raises(CatalogError, match="no row has a view that can be read"):
        aisle.train(read(rows), given, out=tmp_path / "other", track=[])
    assert not (tmp_path / "other").exists()


@pytest.mark.slow  # many rows
def test_a_view_of_three_rows_among_many_is_learned():
    n = 50_500
    rng = np.random.default_rng(0)
    place = rng.integers(0, 4, n)
    few = [Product("", {"title": f"thing {i % 7}"}, (), {}, ((f"place {k}",),)) for i, k in enumerate(place)]
    there = [n - 1 - int(np.flatnonzero(place[::-1] == k)[0]) for k in range(3)]
    for row in there:
        few[row] = dataclasses.replace(few[row], vectors={"clip": np.eye(4, dtype=np.float32)[place[row]]})
    views = {"title": {"type": "Tfidf", "max_features": 10, "max_words": 10}, "clip": {"type": "Vector"}}
    parts = {"validation": 0, "calibration": 0, "threshold": 0}
    model = aisle.train(read(few), linear(views, split=parts))
    assert model.views == ("title", "clip")
    asked = [few[row] for row in there]
    assert np.abs(model.score(asked).all() - model.score(asked, without=["clip"]).all()).max() > 1e-4
