import json
import re
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from aisle.data import read
from aisle.data.chunks import ChunkReader
from aisle.data.dialects import detect_dialect, dialect_names, load_dialect
from aisle.errors import CatalogError
from aisle.taxonomy import format_path
from tests.data import exports, more_exports

EXPORTS = [*exports.EXPORTS, *more_exports.EXPORTS]


def listed(catalog):
    """(id, title, categories, images, fields) of each product."""
    return [
        (
            product.id,
            product.fields.get("title"),
            [format_path(path) for path in product.categories],
            catalog.image_names(i),
            dict(product.fields),
        )
        for i, product in enumerate(catalog)
    ]


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.file)
def test_an_export_of_each_platform(tmp_path, export):
    catalog = read(export.write(tmp_path))
    assert catalog.dialect.title == export.title
    found = listed(catalog)
    assert [product[:4] for product in found] == [product[:4] for product in export.products]
    for product, expected in zip(found, export.products, strict=True):
        assert {key: product[4].get(key) for key in expected[4]} == expected[4]
    assert catalog.source_rows.tolist() == export.product_of_rows


@pytest.mark.parametrize("rows", [1, 2, 100])
@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.file)
def test_bulk_work_reads_an_export_as_a_catalog_does(tmp_path, export, rows):
    path = export.write(tmp_path)
    whole = read(path)
    parts = [chunk.catalog() for chunk in ChunkReader([path], rows=rows)]
    assert [product[3:] for part in parts for product in listed(part)] == [p[3:] for p in listed(whole)]
    assert [int(row) for part in parts for row in part.rows] == whole.rows.tolist()
    assert [p.id for part in parts for p in part] == [p.id for p in whole]


def test_each_platform_is_tested():
    titles = {export.title for export in EXPORTS}
    untested = {"shopify_api"}  # tested below
    assert {load_dialect(name).title for name in dialect_names() if name not in untested} == titles


def test_columns_in_another_order_and_without_optional_ones():
    header = exports.WOOCOMMERCE.text.split("\n")[0].replace('"', "").split(",")
    kept = [name for name in reversed(header) if name not in ("Images", "Parent", "Tags")]
    assert detect_dialect(kept).name == "woocommerce"
    assert detect_dialect(["id", "title", "category", "image"]) is None
    assert detect_dialect(["sku", "name", "categories", "description", "weight"]) is None
    assert detect_dialect([]) is None


def test_products_of_shopify_as_json(tmp_path):
    path = tmp_path / "products.json"
    path.write_text(
        '{"products": [{"id": 7, "title": "Tee", "body_html": "<p>Soft</p>", "vendor": "Acme", '
        '"product_type": "Shirts", "handle": "tee", "tags": ["a"], "variants": [{"id": 1, "sku": "T"}], '
        '"options": [{"name": "Size", "values": ["S", "M"]}], "images": [{"src": "https://x/1.jpg"}]}]}'
    )
    catalog = read(path)
    assert catalog.dialect.name == "shopify_api"
    (tee,) = listed(catalog)
    assert tee[:4] == ("7", "Tee", ["Shirts"], ["https://x/1.jpg"])
    assert tee[4]["Size"] == "S, M"


@pytest.mark.parametrize(
    ("key", "nodes"),
    [
        ("media", [{"mediaContentType": "IMAGE", "image": {"url": "https://x/1.jpg", "width": 9}}]),
        ("media", [{"preview": {"image": {"url": "https://x/1.jpg"}}}]),
        ("images", [{"originalSrc": "https://x/1.jpg", "altText": "x"}]),
        ("images", [{"url": "https://x/1.jpg"}]),
    ],
)
def test_products_of_the_graphql_api_of_shopify(tmp_path, key, nodes):
    product = {
        **{"id": "gid://shopify/Product/7", "title": "Tee", "descriptionHtml": "<p>Soft</p>", "vendor": "B"},
        **{"productType": "Shirts", "variants": {"edges": [{"node": {"id": "v", "sku": "T"}}]}},
        "category": {
            "id": "gid://shopify/TaxonomyCategory/aa-1",
            "name": "Tees",
            "fullName": "Clothing > Tees",
        },
        key: {"edges": [{"node": node} for node in nodes]},
    }
    path = tmp_path / "products.json"
    path.write_text(json.dumps({"data": {"products": {"edges": [{"node": product}]}}}))
    catalog = read(path)
    assert catalog.dialect.name == "shopify_api"
    (tee,) = listed(catalog)
    assert tee[:4] == ("gid://shopify/Product/7", "Tee", ["Clothing > Tees"], ["https://x/1.jpg"])
    assert tee[4]["description"] == "Soft"


def test_lines_of_a_bulk_operation_of_shopify_are_one_product(tmp_path):
    lines = [
        {"id": "p/1", "title": "Tee", "descriptionHtml": "Soft", "productType": "Shirts", "vendor": "B"},
        {"id": "m/1", "image": {"url": "https://x/1.jpg"}, "__parentId": "p/1"},
        {"id": "m/2", "image": {"url": "https://x/2.jpg"}, "__parentId": "p/1"},
        {"id": "p/2", "title": "Cap", "descriptionHtml": "Warm", "productType": "Hats", "vendor": "B"},
    ]
    path = tmp_path / "bulk.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    assert [product[:4] for product in listed(read(path))] == [
        ("p/1", "Tee", ["Shirts"], ["https://x/1.jpg", "https://x/2.jpg"]),
        ("p/2", "Cap", ["Hats"], []),
    ]


@pytest.mark.parametrize("export", exports.EXPORTS, ids=lambda export: export.file)
def test_an_export_without_products(tmp_path, export):
    if export.file.endswith((".xml", ".json")):
        return
    path = tmp_path / export.file
    lines = export.text.splitlines(keepends=True)
    path.write_text("".join(lines[: 3 if export.file == "amazon.txt" else 1]), export.encoding)
    assert len(read(path)) == 0
    assert [chunk.rows for chunk in ChunkReader([path])] == []


def test_problems_name_rows_of_the_file(tmp_path):
    path = tmp_path / "export.csv"
    path.write_text(
        "Handle,Title,Body (HTML),Vendor,Product Category,Variant SKU\n"
        "pen,Pen,,Acme,Office > Pens,P1\npen,,,,,P2\nmug,Mug,,,Kitchen > Mugs,\ncap,Cap,,,,C\nhat,Hat\n"
    )
    catalog = read(path)
    assert catalog.rows.tolist() == [1, 3, 4, 5]
    rows = {(p.row, p.message.split(";")[0]) for p in catalog.problems if p.row}
    assert (4, "no category") in rows
    assert (5, "2 fields instead of 6") in rows
    assert catalog.fatal.tolist() == [False, False, False, True]
    assert catalog.problems_of(2)[0].row == 4
    assert catalog.position_of(4) == 2
    assert catalog.position_of(2) is None  # a row of the pen
    some = catalog.select([2, 0])
    assert some.source_rows.tolist() == [1, 1, -1, 0, -1]
    assert [p.id for p in some] == ["cap", "pen"]


def test_uncategorized_is_no_category(tmp_path):
    path = tmp_path / "export.csv"
    header = "Handle,Title,Body (HTML),Vendor,Product Category,Type,Variant SKU\n"
    path.write_text(
        header + "a,A,,V,Uncategorized,Lure,1\nb,B,,V,Uncategorized,Lure,2\nc,C,,V,Sports > Fishing,Rod,3\n"
    )
    assert [p.categories for p in read(path)] == [(("Lure",),), (("Lure",),), (("Rod",),)]
    path.write_text(header + "a,A,,V,uncategorized,,1\nb,B,,V,Sports > Golf,,2\nc,C,,V,Sports > Fishing,,3\n")
    assert [p.categories for p in read(path)] == [(), (("Sports", "Golf"),), (("Sports", "Fishing"),)]


def test_codes_of_categories_stay_codes_without_their_file(tmp_path):
    path = tmp_path / "akeneo.csv"
    path.write_text(exports.AKENEO.text)
    assert [product[2] for product in listed(read(path))] == [["tshirts", "summer"], ["mugs"]]
    names = tmp_path / "deep" / "names.csv"
    names.parent.mkdir()
    names.write_text(exports.AKENEO.beside["categories.csv"])
    assert listed(read(path, category_file=names))[1][2] == ["Mugs"]


def test_ids_of_google_are_found_in_a_tree(tmp_path):
    tree = tmp_path / "taxonomy.txt"
    tree.write_text(
        "# Google_Product_Taxonomy_Version: 2021\n166 - Apparel\n2271 - Apparel > Dresses\n2901 - Pans\n"
    )
    catalog = read(
        exports.GOOGLE.write(tmp_path), taxonomy=tree, columns={"category": "google product category"}
    )
    assert [product[2] for product in listed(catalog)] == [["Apparel > Dresses"], ["Pans"]]


def documented(kind):
    """The first block of a kind on the page about shop exports."""
    page = (Path(__file__).parents[2] / "docs" / "shop_exports.md").read_text("utf-8")
    return re.search(rf"^```{kind}\n(.*?)^```$", page, re.M | re.S)[1]


def test_a_dialect_of_ones_own(tmp_path):
    path, mine = tmp_path / "own.csv", tmp_path / "mine.toml"
    path.write_text(documented("csv"), "utf-8")
    mine.write_text(documented("toml"), "utf-8")
    catalog = read(path, format=mine)
    assert catalog.dialect.title == "Export of our own shop"
    assert [product[:4] for product in listed(catalog)] == [
        ("1", "Stift", ["Büro > Stifte", "Neu"], ["a.jpg", "c.jpg", "b.jpg"]),
        ("3", "Tasse", ["Küche > Tassen"], ["d.jpg"]),
    ]
    assert catalog[0].fields["Farbe"] == "rot"
    again = read(path, like=catalog)  # remembered without the file
    assert listed(again) == listed(catalog)
    assert len(read(path)) == 3
    assert len(read(path, format="none", like=catalog)) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = 3", "title"),
        ("[colums]\nid = ['a']", "colums: unknown key"),
        ("[products]\nparent = ['a']", "products"),
        ("[products]\nchild = '('\n", "not a regular expression"),
        ("title =", "mine.toml"),
    ],
)
def test_a_file_that_is_no_dialect_is_one_line(tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(CatalogError, match=message) as raised:
        load_dialect(tmp_path / "mine.toml")
    assert "\n" not in str(raised.value)


def test_an_unknown_format_names_the_known_ones():
    with pytest.raises(CatalogError, match=r"no format is called 'shopfy'.*Did you mean 'shopify'"):
        load_dialect("shopfy")


def test_a_user_names_another_category_of_an_export(tmp_path):
    path = exports.SHOPIFY.write(tmp_path)
    catalog = read(path, columns={"category": "Type"})
    assert [product[2] for product in listed(catalog)] == [["Shirts"], ["Mugs"]]
    assert "Product category" in catalog.columns.ignored
    again = read(path, like=catalog)
    assert again.columns.category == "Type"
    vendors = read(path, columns={"category": "Vendor"})
    assert [product[2] for product in listed(vendors)] == [["Acme"], ["Acme"]]


def test_rows_in_memory(tmp_path):
    frame = pd.read_csv(exports.SHOPIFY.write(tmp_path), dtype=str)
    catalog = read(frame)
    assert [product[:4] for product in listed(catalog)] == [
        product[:4] for product in exports.SHOPIFY.products
    ]
    answered = read(frame, labels=False)  # a prediction for each row that was passed
    assert [p.id for p in answered] == ["tee", "tee", "tee", "mug"]
    assert [p.fields["title"] for p in answered] == ["Tee", "Tee", "Tee", "Mug"]
    assert answered.rows.tolist() == [1, 2, 3, 4]
    assert not [p for p in answered.problems if "same id" in p.message]
    assert read(frame.to_dict("records"), labels=False)[1].fields["title"] == "Tee"


def test_rows_of_one_product_may_lie_anywhere(tmp_path):
    path = tmp_path / "export.csv"
    rows = [
        f"p{i % 50},{f'Title {i}' if i < 50 else ''},,A,Office > Pens,S{i},https://x/{i}.jpg"
        for i in range(200)
    ]
    path.write_text("\n".join(["Handle,Title,Body (HTML),Vendor,Type,Variant SKU,Image Src", *rows]))
    catalog = read(path)
    assert [p.id for p in catalog] == [f"p{i}" for i in range(50)]
    assert catalog.image_names(7) == [f"https://x/{i}.jpg" for i in (7, 57, 107, 157)]
    parts = [chunk.catalog() for chunk in ChunkReader([path], rows=7)]
    assert [product for part in parts for product in listed(part)] == [
        (*p[:2], [], *p[3:]) for p in listed(catalog)
    ]
    assert sum(len(part.source_rows) for part in parts) >= 200


def test_lines_of_notes_above_the_header_of_a_feed(tmp_path):
    path = tmp_path / "catalog_products.csv"
    notes = '"# Required | A unique id, such as a SKU.","# Required | A title."' + ",#" * 6 + "\n"
    header = (
        "id,title,description,availability,condition,price,link,image_link,brand,google_product_category\n"
    )
    path.write_text(
        notes + header + "1,Tee,A tee,in stock,new,9 EUR,https://x/1,https://x/1.jpg,B,A > Tees\n"
    )
    catalog = read(path)
    assert catalog.dialect.name == "google"
    assert [(p.id, p.categories) for p in catalog] == [("1", (("A", "Tees"),))]


def test_further_images_of_a_workbook_are_those_of_its_products(tmp_path):
    book = openpyxl.Workbook()
    sheets = {
        "Categories": [["category_id", "parent_id", "name(en)"], [1, 0, "Audio"]],
        "Products": [
            [
                "product_id",
                "name(en)",
                "categories",
                "model",
                "image_name",
                "tax_class_id",
                "stock_status_id",
            ],
            [7, "Headset", "1", "H", "a.jpg", 9, 6],
            [8, "Radio", "1", "R", None, 9, 6],
        ],
        "AdditionalImages": [
            ["product_id", "image", "sort_order"],
            [7, "c.jpg", 2],
            [7, "b.jpg", 1],
            [8, "d.jpg", 1],
        ],
    }
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.remove(book.worksheets[0])
    book.save(tmp_path / "products.xlsx")
    catalog = read(tmp_path / "products.xlsx")
    assert [listed(catalog)[i][:4] for i in range(2)] == [
        ("7", "Headset", ["Audio"], ["a.jpg", "b.jpg", "c.jpg"]),
        ("8", "Radio", ["Audio"], ["d.jpg"]),
    ]


def test_media_of_wix_have_an_address(tmp_path):
    path = tmp_path / "catalog_products.csv"
    path.write_text(more_exports.WIX.text.replace("a.jpg;b.jpg", "506c6a_bbb95~mv2.jpg;b.jpg"))
    assert read(path).image_names(0) == ["https://static.wixstatic.com/media/506c6a_bbb95~mv2.jpg", "b.jpg"]
