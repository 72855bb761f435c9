"""A file without a single category is filled as the training file was written."""

import json
from types import SimpleNamespace

import pytest

import aisle
from aisle.data.catalog_format import CatalogFormat
from aisle.guarantee import Prediction
from aisle.inference.write_back import write_back_catalog
from aisle.taxonomy import Taxonomy, format_path


def fill(trained_on, todo, out, **options):
    """Write the category of each training product into the same product of a file without categories."""
    catalog = aisle.read(trained_on, **options)
    form = CatalogFormat.from_json(catalog.catalog_format.to_json())
    paths = [product.categories[0] for product in catalog]
    model = SimpleNamespace(taxonomy=Taxonomy.from_paths(paths), catalog_format=form)
    new = aisle.read(todo, labels=False, like=form)
    found = [
        Prediction(
            p.id, path, format_path(path), path, format_path(path), (0.9,) * len(path), "accept", "", ()
        )
        for p, path in zip(new, paths, strict=True)
    ]
    return write_back_catalog(new, found, out, model)


PRESTASHOP = (
    "Product ID;Active (0/1);Name *;Categories (x,y,z...);Reference #\n1;1;Tee;{0};T\n2;1;Cup;{1};C\n"
)
PLAIN = "sku,name,category,price\n1,Tee,{0},9\n2,Cup,{1},9\n"


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        (PRESTASHOP, ("Tees", "Cups")),  # no root is added that the shop does not write
        (PRESTASHOP, ("Home,Clothes,Tees", "Home,Cups")),
        (PLAIN, ("/Clothes/Tees", "/Kitchen/Cups")),
        (PLAIN, ("Clothes > Tees", "Kitchen > Cups")),
        (PLAIN, ('"[""Clothes"", ""Tees""]"', '"[""Kitchen"", ""Cups""]"')),
    ],
)
def test_cells_are_written_as_in_the_training_file(text, cells, tmp_path):
    trained, todo, out = (tmp_path / name for name in ("trained.csv", "todo.csv", "out.csv"))
    trained.write_text(text.format(*cells))
    todo.write_text(text.format("", ""))
    fill(trained, todo, out)
    mark = ";" if ";" in text else ","
    held = [line.removesuffix(f"{mark}accept{mark}0.9") for line in out.read_text().splitlines()[1:]]
    assert held == text.format(*cells).splitlines()[1:]


AUDIO, PHONES = {"id": 3, "name": "Audio", "slug": "audio"}, {"id": 4, "name": "Phones", "slug": "phones"}


@pytest.mark.parametrize(
    ("first", "second", "blank"),
    [
        ([AUDIO, PHONES], [AUDIO], []),
        (PHONES, AUDIO, None),
        (["Audio", "Phones"], ["Audio"], []),
        ("Audio > Phones", "Audio", ""),
        ([23], [21], []),
    ],
)
def test_categories_of_json_keep_their_kind(first, second, blank, tmp_path):
    def write(name, *categories):
        rows = [{"sku": f"s{i}", "name": f"N{i}", "category": value} for i, value in enumerate(categories)]
        (tmp_path / name).write_text(json.dumps({"products": rows}))
        return tmp_path / name

    out = tmp_path / "out.json"
    fill(write("trained.json", first, second), write("todo.json", blank, blank), out)
    rows = json.loads(out.read_text())["products"]
    assert [row["category"] for row in rows] == [first, second]


def test_objects_of_woocommerce_are_known_by_their_ids(tmp_path):
    def write(name, *categories):
        rows = [
            {"id": i, "name": f"N{i}", "slug": "s", "permalink": "https://x", "catalog_visibility": "visible"}
            | {"regular_price": "9", "parent_id": 0, "images": [], "categories": value}
            for i, value in enumerate(categories, 1)
        ]
        (tmp_path / name).write_text(json.dumps(rows))
        return tmp_path / name

    out = tmp_path / "out.json"
    fill(write("trained.json", [AUDIO, PHONES], [AUDIO]), write("todo.json", [], []), out)
    assert [row["categories"] for row in json.loads(out.read_text())] == [[AUDIO, PHONES], [AUDIO]]


def test_codes_are_remembered_without_the_file_that_names_them(tmp_path):
    export = "sku;categories;enabled;family;groups;parent;name-en_US\n1;{0};1;f;;;Tee\n2;{1};1;f;;;Cup\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    trained, names, todo = tmp_path / "a/products.csv", tmp_path / "tree.csv", tmp_path / "b/products.csv"
    trained.write_text(export.format("tees", "cups"))
    names.write_text("code;parent;label-en_US\nclothes;;Clothes\ntees;clothes;Tees\ncups;;Cups\n")
    todo.write_text(export.format("", ""))
    out = tmp_path / "b/filled.csv"
    done = fill(trained, todo, out, category_file=names)
    assert [line.split(";")[1] for line in out.read_text().splitlines()[1:]] == ["tees", "cups"]
    assert done.categories_without_code == ()
