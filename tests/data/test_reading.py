import pickle

import numpy as np
import pytest
from PIL import Image

from aisle.data import read
from aisle.errors import AisleError, CatalogError
from aisle.taxonomy import Taxonomy
from tests.shared import DATA, needs_shared

CSV = """sku,name,description,category,price,split
1,Red boots,Warm and dry,Clothing > Shoes > Boots,5.0,train
2,Sandals,,Clothing > Shoes,7,test
3,,,Clothing > Hats,,train
4,Lamp,A lamp,,12,
"""


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text(CSV)
    return read(path)


def test_columns_are_found_by_name_and_the_rest_become_fields(shop):
    assert (shop.columns.id, shop.columns.title, shop.columns.category) == ("sku", "name", "category")
    assert shop.fields == ("title", "description", "price")
    assert shop[0].fields == {"title": "Red boots", "description": "Warm and dry", "price": "5.0"}
    assert shop[1].fields == {"title": "Sandals", "price": "7"}
    assert [p.id for p in shop] == ["1", "2", "3", "4"]


def test_every_row_stays_and_what_is_wrong_is_told(shop):
    assert len(shop) == 4
    assert shop.fatal.tolist() == [False, False, True, False]
    assert [(p.row, p.column, p.message.split(";")[0]) for p in shop.problems] == [
        (3, None, "the row has no text and no image"),
        (4, "category", "no category"),
    ]
    assert shop.problems_of(2) == (shop.problems[0],)


def test_targets_are_nodes_of_the_tree_the_labels_span(shop):
    node, exact = shop.targets()
    assert [shop.taxonomy.nodes[n].path if n >= 0 else None for n in node] == [
        ("Clothing", "Shoes", "Boots"),
        ("Clothing", "Shoes"),
        None,
        None,
    ]
    assert exact.all()
    assert shop.split.tolist() == ["train", "test", "train", ""]


def test_taking_rows_keeps_their_record_numbers(shop):
    taken = shop.select([3, 0]).select(np.array([False, True]))
    assert [p.id for p in taken] == ["1"]
    assert taken.rows.tolist() == [1]
    assert len(shop[1:]) == 3


def test_a_missing_file_is_told_its_neighbor(tmp_path):
    (tmp_path / "products.csv").write_text(CSV)
    with pytest.raises(AisleError, match=r"Did you mean .products\.csv."):
        read(tmp_path / "product.csv")


@needs_shared
def test_the_marketplace_reads_as_its_readme_says():
    catalog = read(DATA / "marketplace" / "products.csv")
    assert len(catalog) == 5707
    assert (len(catalog.taxonomy), len(catalog.taxonomy.terminals)) == (501, 411)
    assert (catalog.split == "train").sum() == 4644
    assert not catalog.problems


def test_positions_may_be_negative_masks_or_wrong(shop):
    assert shop[-1].id == "4"
    assert [p.id for p in shop.select([-1, 0])] == ["4", "1"]
    assert shop.raw(-1)["sku"] == "4"
    for wrong in (4, -5):
        with pytest.raises(IndexError):
            shop[wrong]
        with pytest.raises(IndexError):
            shop.select([wrong])


def test_a_catalogue_can_be_handed_to_another_process(shop, tmp_path):
    again = pickle.loads(pickle.dumps(shop.select([2, 0])))
    assert [p.id for p in again] == ["3", "1"]
    assert again.fingerprint == shop.select([2, 0]).fingerprint != shop.fingerprint


def test_a_folder_of_tables_leaves_notes_and_fetched_pictures_alone(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "README.txt").write_text("not a table")
    (tmp_path / "settings.json").write_text("{}")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "images.jsonl").write_text('{"url": "http://a/b.png", "file": "b.png"}\n')
    assert [part.path.name for part in read(tmp_path).files] == ["a.csv"]


def test_official_trees_stay_when_labels_are_replaced():
    tree = Taxonomy.from_paths([("A", "B"), ("C",)])
    catalog = read([{"title": "x", "category": "A > B"}], taxonomy=tree)
    assert catalog.with_labels([("C",)]).taxonomy == tree
    assert catalog.with_labels(["C"]).targets().node.tolist() == [tree.index(("C",))]


def test_pictures_and_texts_are_not_paired_by_class_and_position(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "shoes.csv").write_text("title\nred boot\n")
    (tmp_path / "images" / "shoes").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "shoes" / "1.jpg")
    with pytest.raises(CatalogError, match="nothing says which image belongs to which text"):
        read(tmp_path)
    assert len(read(tmp_path / "texts")) == len(read(tmp_path / "images")) == 1
