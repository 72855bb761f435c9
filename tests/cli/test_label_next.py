"""`aisle label-next`: the products whose labels would help most, in a file to fill in and train on."""

import csv
import json

import numpy as np
import pytest

import aisle
from aisle.errors import CatalogError
from aisle.inference.label_next import choose_to_label, most_informative


def rows_of(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def half(shop, tmp_path):
    """The sample shop with new titles; every second row has no category."""
    rows = rows_of(shop.products)
    for number, row in enumerate(rows):
        row["title"] = f"{row['title']} {number}"
        row["category"] = "" if number % 2 else row["category"]
    path = tmp_path / "half.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_file_has_the_rows_as_they_were_and_a_suggestion(trained, shop, half, typed, tmp_path):
    out = tmp_path / "to_label.csv"
    images = ("--image-root", shop.products.parent)
    code, shown, _ = typed("label-next", trained.run, half, "--k", 12, "--out", out, *images)
    assert code == 0
    chosen, source = rows_of(out), {row["id"]: row for row in rows_of(half)}
    assert len({row["id"] for row in chosen}) == 12
    known = {" > ".join(node.path) for node in trained.model.taxonomy.nodes}
    for row in chosen:
        assert row.pop("suggested_category") in known
        assert row == source[row["id"]]
        assert row["category"] == ""
    assert "12 of " in shown
    assert "unlabelled products chosen" in shown
    assert "Labels of the 6 drawn at random" in shown
    assert str(out) in shown


def test_what_was_filled_in_trains_and_the_suggestion_is_no_field(trained, shop, half, typed, tmp_path):
    out = tmp_path / "to_label.csv"
    typed("label-next", trained.run, half, "--k", 12, "--out", out, "--image-root", shop.products.parent)
    chosen = rows_of(out)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, chosen[0])
        writer.writeheader()
        writer.writerows({**row, "category": row["suggested_category"]} for row in chosen)
    catalog = aisle.read(out, image_root=shop.products.parent)
    assert catalog.columns.category == "category"
    assert "suggested_category" not in catalog.fields
    assert (catalog.targets().node >= 0).all()


def test_uncertain_ones_are_less_sure_than_random_ones(trained, shop, half):
    catalog = aisle.read(half, image_root=shop.products.parent, like=trained.model)
    uncertain = choose_to_label(trained.model, catalog, 15, "uncertain")
    mixed = choose_to_label(trained.model, catalog, 15)
    np.testing.assert_array_equal(mixed.rows[:8], uncertain.rows[:8])
    assert len(set(mixed.rows)) == 15
    assert uncertain.expected_errors > mixed.expected_errors
    chance = choose_to_label(trained.model, catalog, 15, "random")
    assert uncertain.expected_errors > chance.expected_errors
    assert uncertain.unlabelled == chance.unlabelled == 120
    assert (catalog.targets().node[uncertain.rows] < 0).all()
    assert len(set(chance.rows)) == 15
    again = choose_to_label(trained.model, catalog, 15, "random", seed=0)
    np.testing.assert_array_equal(chance.rows, again.rows)
    titles = [product.fields["title"] for product in catalog.select(uncertain.rows)]
    assert [catalog[int(row)].fields["title"] for row in uncertain.rows] == titles


def test_a_catalog_without_a_category_column_gets_one(trained, shop, half, typed, tmp_path):
    bare, out = tmp_path / "bare.csv", tmp_path / "to_label.csv"
    with bare.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "title"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows_of(half))
    code, shown, _ = typed("label-next", trained.run, bare, "--k", 5, "--out", out, "--json")
    assert code == 0
    assert list(rows_of(out)[0]) == ["id", "title", "category", "suggested_category"]
    told = json.loads(shown)
    assert [rows_of(bare)[row]["id"] for row in told["rows"]] == [row["id"] for row in rows_of(out)]
    assert told["unlabelled"] == len(rows_of(bare))


def test_labelled_and_known_rows_are_refused(trained, shop):
    with pytest.raises(CatalogError, match="nothing to label"):
        choose_to_label(trained.model, trained.catalog, 5)


def test_choices_are_uncertain_and_differ_from_each_other():
    """Two equal products are the least sure; the second of them comes after one that differs."""
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    uncertainty = np.array([0.9, 0.8, 0.4, 0.1])
    assert most_informative(uncertainty, vectors, 3).tolist() == [0, 2, 3]
    assert most_informative(uncertainty, vectors, 9).tolist()[:3] == [0, 2, 3]
    assert sorted(most_informative(uncertainty, vectors, 9)) == [0, 1, 2, 3]
