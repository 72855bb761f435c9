"""Which column is what; pictures, vectors, weights and dates as files hold them."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from aisle.data import ImageRef, Product, read
from aisle.errors import CatalogError
from tests.shared import DATA, needs_shared

PARTS = {
    "product_id,title,description,price_gbp,category,images,split": {
        **{"id": "product_id", "title": "title", "description": "description", "category": "category"},
        **{"images": ["images"], "split": "split", "fields": ["price_gbp"]},
    },
    "uniq_id,product_name,product_category_tree,image,brand": {
        **{"id": "uniq_id", "title": "product_name", "category": "product_category_tree"},
        **{"images": ["image"], "fields": ["brand"]},
    },
    "id,gender,masterCategory,subCategory,articleType,productDisplayName": {
        **{"id": "id", "title": "productDisplayName", "fields": ["gender"]},
        "levels": ["masterCategory", "subCategory", "articleType"],
    },
    "designation,description,productid,imageid,prdtypecode": {
        **{"id": "productid", "title": "designation", "description": "description"},
        **{"category": "prdtypecode", "fields": ["imageid"]},
    },
    "sku,name,image1,image2,level_1,level_2,parent_sku,date_added": {
        **{"id": "sku", "title": "name", "images": ["image1", "image2"], "levels": ["level_1", "level_2"]},
        **{"group": "parent_sku", "fields": ["date_added"]},  # whose "x" is no date
    },
    "name,category_path,level1,level2,categories_raw": {
        **{"title": "name", "category": "category_path", "ignored": ["level1", "level2", "categories_raw"]},
    },
}


@pytest.mark.parametrize("header", PARTS)
def test_columns_are_found_by_name(tmp_path, header):
    path = tmp_path / "x.csv"
    cells = ["train" if name in ("split", "subset") else "x" for name in header.split(",")]
    path.write_text(header + "\n" + ",".join(cells) + "\n")
    assert read(path).columns.to_dict() == PARTS[header]


def test_flags_and_toml_override_names_and_mistakes_are_told(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("title,headline,colour,kind\na,b,red,X|Y\n")
    toml = tmp_path / "columns.toml"
    toml.write_text(
        '[columns]\ntitle = "headline"\ncategory = "kind"\nignored = ["colour"]\ndelimiter = ""\n'
    )
    (product,) = read(path, columns=toml)
    assert product.fields == {"title": "b"}
    assert product.categories == (("X|Y",),)
    assert read(path, columns={"title": ""}).columns.title is None
    with pytest.raises(
        CatalogError, match=r"'headlin' \(for 'title'\) is not in the file.*Did you mean 'headline'"
    ):
        read(path, columns={"title": "headlin"})
    with pytest.raises(CatalogError, match=r"unknown key 'titel'.*Did you mean 'title'"):
        read(path, columns={"titel": "headline"})


def test_html_is_stripped_unicode_composed_and_nothing_else_lost():
    def words(text):
        return read([{"title": text}])[0].fields.get("title")

    assert (
        words("<p>Soft <b>cotton</b> &amp; silk</p><ul><li>warm</li><li>dry</li></ul>")
        == "Soft cotton & silk\nwarm\ndry"
    )
    assert words("Men&#39;s Shoes &amp; Boots") == "Men's Shoes & Boots"
    assert words("<p>x</p><script>track()</script>") == "x"
    assert words("Cafe\u0301") == "Café"
    for text in (
        "I <3 you",
        "a < b > c",
        "<script>alert(1)</script>",
        "1/2 × 3",
        "  spaced  out ",
        "A&B",
        "&lt;b&gt;",
    ):
        assert words(text) == text


def test_floats_are_written_plainly(tmp_path):
    table = pa.table(
        {"title": ["a", "b"], "price": [5.0, 1e-5], "year": pa.array([2020, None]), "new": [True, False]}
    )
    pa.parquet.write_table(table, tmp_path / "x.parquet")
    assert [p.fields for p in read(tmp_path / "x.parquet")] == [
        {"title": "a", "price": "5", "year": "2020", "new": "true"},
        {"title": "b", "price": "0.00001", "new": "false"},
    ]
    assert read(table)[1].fields["price"] == "0.00001"


@pytest.mark.parametrize(
    "cell", ["a.jpg|b.png", "a.jpg;b.png", "a.jpg, b.png", '["a.jpg", "b.png"]', "a.jpg b.png"]
)
def test_a_cell_may_name_several_pictures(tmp_path, cell):
    for name in ("a.jpg", "b.png", "one, two.jpg"):
        (tmp_path / name).write_bytes(b"x")
    rows = [{"title": "t", "images": cell}]
    assert [ref.path.name for ref in read(rows, image_root=tmp_path)[0].images] == ["a.jpg", "b.png"]
    alone = read([{"title": "t", "images": "one, two.jpg"}], image_root=tmp_path)
    assert (len(alone[0].images), len(alone.problems)) == (1, 0)


def test_pictures_by_template_class_folder_bytes_and_columns(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "image_7_product_3.jpg").write_bytes(b"x")
    path = tmp_path / "x.csv"
    path.write_text("productid,imageid,designation\n3,7,Livre\n4,8,Jeu\n")
    template = "images/image_{imageid}_product_{productid}.jpg"
    catalog = read(path, columns={"image_template": template})
    assert catalog[0].images[0].path == tmp_path / "images" / "image_7_product_3.jpg"
    assert [(p.row, p.value) for p in catalog.problems] == [(2, "images/image_8_product_4.jpg")]
    with pytest.raises(CatalogError, match="'imgid'"):
        read(path, columns={"image_template": "{imgid}.jpg"})

    shop = tmp_path / "shop"
    for name in ("Shoes/Boots, Ankle/1.jpg", "Shoes/2.png", "Hats/3.webp", "4.jpg", ".hidden/5.jpg"):
        (shop / name).parent.mkdir(parents=True, exist_ok=True)
        (shop / name).write_bytes(b"x")
    assert {p.id: p.categories for p in read(shop)} == {
        "4.jpg": (),
        "Hats/3.webp": (("Hats",),),
        "Shoes/2.png": (("Shoes",),),
        "Shoes/Boots, Ankle/1.jpg": (("Shoes", "Boots, Ankle"),),
    }
    assert all(p.images[0].path.is_file() for p in read(shop))

    table = pa.table({"title": ["t"], "image": [{"bytes": b"abc", "path": None}], "pics": [[b"d", b"e"]]})
    pa.parquet.write_table(table, tmp_path / "x.parquet")
    found = read(tmp_path / "x.parquet", columns={"images": ["image", "pics"]})[0].images
    assert found == (ImageRef(data=b"abc"), ImageRef(data=b"d"), ImageRef(data=b"e"))


def test_vectors_come_through():
    rows = [
        Product("a", {"title": "x"}, vectors={"clip": np.array([1, 2], np.float32)}),
        Product("b", {"title": "y"}),
    ]
    first, second = read(rows)
    assert first.vectors["clip"].tolist() == [1, 2]
    assert second.vectors == {}


def test_weights_and_dates():
    rows = [
        {"title": "a", "sample_weight": "2.5", "date": "2026-03-31"},
        {"title": "b", "sample_weight": "", "date": "31/03/2026"},
        {"title": "c", "sample_weight": "-1", "date": "2026-03-31T12:00:00+02:00"},
        {"title": "d", "sample_weight": "much", "date": "soon"},
        {"title": "e", "sample_weight": "0", "date": "1774915200"},
        {"title": "f", "sample_weight": "1", "date": ""},
    ]
    catalog = read(rows)
    assert catalog.weights.tolist() == [2.5, 1, 1, 1, 0, 1]
    days = catalog.dates.astype("datetime64[m]").astype(str).tolist()
    assert days == ["2026-03-31T00:00"] * 2 + ["2026-03-31T10:00", "NaT", "2026-03-31T00:00", "NaT"]
    assert [(p.row, p.column, p.value) for p in catalog.problems] == [
        (3, "sample_weight", "-1"),
        (4, "sample_weight", "much"),
        (4, "date", "soon"),
    ]


def test_a_weight_in_words_is_a_field():
    catalog = read([{"title": "a", "sample_weight": "2 kg"}, {"title": "b", "sample_weight": "500 g"}])
    assert catalog.weights is None
    assert catalog[0].fields["sample_weight"] == "2 kg"


@needs_shared
def test_bytes_in_parquet_rows_and_an_official_trees_oddities():
    catalog = read(DATA / "fashion" / "products.parquet")
    assert (len(catalog), len(catalog.taxonomy.terminals), catalog.problems[:]) == (7810, 78, ())
    assert all(p.images[0].data[:4] == b"RIFF" for p in catalog.select(range(50)))
    rows = [{"title": "a", "category": "cat02843"}]
    official = read(rows, taxonomy=DATA / "taxonomies" / "bestbuy_categories.json", strict=True)
    assert official[0].categories[0][-1] == "Christmas"
    assert [p.value for p in official.problems if "no name" in p.message] == ["pcmcat748300293073"]


@pytest.mark.slow
def test_a_large_catalogue_lives_on_disk_and_selections_copy_nothing(tmp_path):
    path = tmp_path / "x.jsonl"
    filler = "word " * 6000
    with path.open("w") as file:
        for i in range(3000):
            extra = {"late": str(i)} if i > 2500 else {}
            file.write(json.dumps({"id": i, "title": f"t{i}", "description": filler, **extra}) + "\n")
    catalog = read(path)
    assert pa.total_allocated_bytes() < 60 * 2**20  # of 90 MB of text
    assert [p.fields["title"] for p in catalog.select([2999, 3])] == ["t2999", "t3"]
    assert catalog[2999].fields["late"] == "2999"
    assert "late" not in catalog[3].fields
    assert catalog.table.num_rows == 3000
    assert sum(1 for _ in catalog) == 3000


def test_what_one_catalogue_found_another_can_be_read_with():
    rows = [{"sku": "1", "name": "boot", "picture": "a.jpg", "l1": "Shoes", "l2": "Boots"}]
    first = read(rows, columns={"levels": ["l1", "l2"]})
    assert read(rows, columns=first.columns).columns == first.columns


@pytest.mark.parametrize("name", ["cat", "Category Name", "product_category", "Kategorie"])
def test_a_category_by_its_common_names(name):
    catalog = read([{"title": "a lamp", name: "Home > Lamps"}])
    assert catalog[0].categories == (("Home", "Lamps"),)
