"""Which column is read where several names would do, or none: by what the cells hold, and told by `check`."""

import json
import shlex

import pytest
import typer
from typer.testing import CliRunner

from aisle.cli.check import check as command
from aisle.data import read
from aisle.data.check import check
from aisle.data.chunks import ChunkReader

PATHS = ["Office > Pens", "Kitchen > Mugs", "Toys > Cars"]
LEAVES = ["Pens", "Mugs", "Cars"]

app = typer.Typer()
app.command()(command)


def path(i):
    return PATHS[i % 3]


def leaf(i):
    return LEAVES[i % 3]


def half(i):
    return path(i) if i % 2 else ""


def rows(count=40, **columns):
    """Rows whose cells are texts or made from the row's number."""
    made = {"title": lambda i: f"blue thing number {i}", **columns}
    return [
        {name.replace("__", " "): cell(i) if callable(cell) else cell for name, cell in made.items()}
        for i in range(count)
    ]


def found(catalog, kind):
    return [finding for finding in check(catalog, images=False).findings if finding.kind == kind]


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        ({"google_product_category": half, "product_type": path}, ("product_type",)),
        ({"google_product_category": path, "product_type": path}, ("google_product_category",)),
        ({"google_product_category": path, "product_type": half}, ("google_product_category",)),
        ({"category": half, "breadcrumbs": path}, ("breadcrumbs",)),
        ({"category": leaf, "breadcrumbs": path}, ("breadcrumbs",)),  # the same names, with those above
        ({"category": lambda i: path(i).split(" > ")[0], "breadcrumbs": path}, ("breadcrumbs",)),
        (
            {"category": leaf, "google_product_category": lambda i: f"Goods > {i % 4}"},
            ("category",),
        ),  # others
        ({"category": path, "breadcrumbs": path}, ("category",)),
        ({"product_category": "Clothing", "terms": leaf}, ("terms",)),
        ({"product_category": "Clothing", "department": leaf}, ("department",)),
        ({"product_category": "Clothing"}, ("product_category",)),
        ({"category": lambda i: "" if i % 20 == 0 else path(i), "breadcrumbs": path}, ("category",)),
        ({"category": half, "level1": path, "level2": leaf}, ("level1", "level2")),
        ({"category": path, "level1": half, "level2": leaf}, ("category",)),
        (
            {
                "Main Category": half,
                "Main Category Image": "a.jpg",
                "Sub-Category 1": leaf,
                "Sub-Category 2": leaf,
            },
            ("Main Category", "Sub-Category 1", "Sub-Category 2"),
        ),
        ({"Subcategoría 1": half, "Subcategoría 2": leaf}, ("Subcategoría 1", "Subcategoría 2")),
        ({"category": path, "subcategory": leaf}, ("category",)),  # whole paths already
        ({"category": lambda i: path(i).split(" > ")[0], "subcategory": leaf}, ("category", "subcategory")),
        (
            {"category": lambda i: str(i % 3), "category_name": leaf},
            ("category_name",),
        ),  # names before numbers
        ({"category_id": lambda i: str(i % 3)}, ("category_id",)),
        ({"Kategorie": half, "Warengruppe": path}, ("Warengruppe",)),
        ({"categories": half, "product_type": "simple"}, ("categories",)),  # a kind of record, no category
        ({"product_type": lambda i: ["simple", "simple, virtual"][i % 2]}, ()),
        ({"Product__Category": "", "Type": leaf}, ("Type",)),
        ({"Product__Category": path, "Type": leaf}, ("Product Category",)),
        ({"Type": lambda i: ["simple", "variable", "variation"][i % 3]}, ()),
        ({"category_slug": leaf}, ("category_slug",)),
        ({"category_slug": leaf, "category_url": lambda i: f"https://x/{leaf(i)}"}, ("category_slug",)),
        ({"category_url": lambda i: f"https://x/{leaf(i)}"}, ()),
        ({"category_count": lambda i: str(i % 9)}, ()),
        ({"unterkategorie": leaf}, ("unterkategorie",)),
        ({"label": lambda i: str(i % 2)}, ("label",)),
    ],
)
def test_the_label_is_the_likeliest_name_that_labels_most_rows(columns, label):
    catalog = read(rows(**columns))
    assert catalog.columns.label == label
    left = [name.replace("__", " ") for name in columns if name.replace("__", " ") not in label]
    assert not {name for name in left if "categor" in name.casefold()} & set(catalog.fields)  # they tell it


def test_with_an_official_tree_the_label_is_what_the_tree_knows(tmp_path):
    tree = tmp_path / "tree.txt"
    tree.write_text("# version\n1 - Home\n2 - Home > Pens\n3 - Home > Mugs\n")
    feed = rows(google_product_category=lambda i: ["2", "", "3", ""][i % 4], product_type=path)
    assert read(feed, taxonomy=tree).columns.category == "google_product_category"
    assert read(feed).columns.category == "product_type"
    both = rows(category=leaf, level1="Home", level2=lambda i: ["Pens", "Mugs"][i % 2])
    assert read(both, taxonomy=tree).columns.label == ("level1", "level2")
    assert read(both).columns.label == ("category",)


def test_check_says_which_label_column_was_left_and_why():
    (choice,) = found(read(rows(google_product_category=half, product_type=path)), "label choice")
    assert choice.severity == "warning"
    assert choice.message == (
        "label: read from product_type (filled in 100% of rows), for it labels more rows; "
        "not from google_product_category (50%)"
    )
    assert choice.action == "to learn another one: -c category=google_product_category"
    (choice,) = found(read(rows(google_product_category=path, product_type=path)), "label choice")
    assert choice.severity == "note"
    assert "product_type (100%)" in choice.message
    (choice,) = found(read(rows(Product__Category=half, Type=leaf)), "label choice")
    assert choice.action.endswith("-c category=Type")
    (choice,) = found(read(rows(category_slug=leaf)), "label choice")
    assert "no column with a label's name is filled" in choice.message
    assert not found(read(rows(category=path, brand=leaf)), "label choice")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"family": leaf, "parent": lambda i: f"model-{i // 3}"}, "parent"),
        ({"family": leaf, "parent": ""}, "parent"),
        ({"family": leaf}, None),
        ({"parent_id": "0"}, None),  # as APIs write "no parent": it would tie all rows
        ({"item_group_id": lambda i: f"g{i // 2}"}, "item_group_id"),
    ],
)
def test_variants_are_tied_by_their_parent_not_by_an_attribute_set(columns, expected):
    catalog = read(rows(sku=str, category=path, **columns))
    assert catalog.columns.group == expected
    if "family" in columns:
        assert catalog[0].fields["family"] == "Pens"
    filled = expected is not None and columns[expected] != ""
    groups = len(set(catalog.groups().tolist()))
    assert groups == (len({columns[expected](i) for i in range(40)}) if filled else 40)


def test_associations_of_products_are_no_variants():
    listed = read(rows(sku=str, category=path, parent="", groups=lambda i: ("summer", "winter", "")[i % 3]))
    assert listed.columns.group != "groups"
    assert listed[0].fields["groups"] == "summer"
    assert len(set(listed.groups().tolist())) == 40


def test_a_handle_is_the_id_of_products_and_the_group_of_variants():
    products = read(rows(Handle=lambda i: f"thing-{i}", category=path))
    assert (products.columns.id, products.columns.group) == ("Handle", None)
    shop = rows(Handle=lambda i: f"thing-{i // 2}", Variant__SKU=lambda i: f"S{i}", category=path)
    variants = read(shop, format="none")
    assert (variants.columns.id, variants.columns.group) == ("Variant SKU", "Handle")


def test_cells_decide_where_a_name_is_vague():
    assert read(rows(title="", product=lambda i: f"A blue pen {i}")).columns.title == "product"
    shop = [{"product": f"P{i:04}", "category": path(i)} for i in range(30)]
    assert read(shop).columns.title is None  # codes
    shop = [{"Foto": "yes" if i % 2 else "no", "title": "a", "category": path(i)} for i in range(30)]
    assert read(shop).columns.images == ()
    shop = [{"COD": "yes" if i % 2 else "no", "Titolo": "a penna", "Categoria": path(i)} for i in range(30)]
    assert read(shop).columns.id is None  # cash on delivery
    shop = [{"image": "", "image_url": f"{i}.jpg", "title": "a"} for i in range(30)]
    assert read(shop).columns.images == ("image_url",)
    shop = [{"base_image": f"/{i}.jpg", "small_image": f"/{i}.jpg", "name": "a pen"} for i in range(30)]
    assert read(shop).columns.to_dict() == {
        **{"title": "name", "images": ["base_image"]},
        "ignored": ["small_image"],  # the same image again, and its address is no text
    }


def test_the_title_is_read_by_its_cells_where_no_column_has_its_name():
    shop = {name: SHOP[name] for name in ("code", "headline", "brand", "colour", "price", "page")}
    catalog = read(
        [{name: cell(i) for name, cell in shop.items()} | {"category": path(i)} for i in range(40)]
    )
    assert (catalog.columns.title, catalog.columns.category) == ("headline", "category")
    notes = [finding.message for finding in found(catalog, "title choice")]
    assert notes == ["title: read from headline; no column has a title's name"]
    few_words = [
        {"code": f"P{i}", "brand": "Acme", "note": "on sale", "category": path(i)} for i in range(40)
    ]
    assert read(few_words).columns.title is None  # the same words in every row
    described = read([{"headline": f"A red thing {i}", "description": f"It is red {i}"} for i in range(40)])
    assert described.columns.title is None  # there is a text to learn from, and its name is known


SHOP = {
    "code": lambda i: f"P{i:03}",
    "headline": lambda i: f"A {['red', 'blue'][i % 2]} thing of make {i}",
    "dept": leaf,
    "brand": lambda i: ["Acme", "Bolt"][i % 2],
    "colour": lambda i: ["red", "blue"][i % 2],
    "price": lambda i: f"{i}.99",
    "stock": lambda i: str(i % 2),
    "visual": lambda i: f"https://shop.example/{i}.jpg",
    "page": lambda i: f"https://shop.example/item/{i}",
}


TREE = [
    *[("Kitchen", "Pans", "Woks"), ("Kitchen", "Pans", "Other"), ("Kitchen", "Knives", "Bread knives")],
    *[("Garden", "Tools", "Rakes"), ("Garden", "Pots", "Other"), ("Office", "Paper", "Pads")],
    ("Office", "Paper", "Rolls"),
]
HEADERS = [  # id, title, description, three levels, image
    ("item_no", "item_desc", "long_desc", "dept", "class", "subclass", "img_path"),
    ("Cikkszám", "Terméknév", "Leírás", "Főkategória", "Kategória", "Alkategória", "Kép"),
    ("상품번호", "상품명", "상품 상세설명", "대분류", "중분류", "소분류", "대표이미지 URL"),
    (
        "Codice articolo",
        "Denominazione",
        "Descrizione estesa",
        "Reparto",
        "Famiglia",
        "Sottofamiglia",
        "Foto",
    ),
    ("Référence", "Désignation", "Descriptif", "Rayon", "Sous-rayon", "Famille", "Visuel"),
    (
        "Código",
        "Produto",
        "Descrição detalhada",
        "Departamento",
        "Categoria",
        "Subcategoria",
        "Imagem principal",
    ),
    (
        "Product Code",
        "Web Description",
        "Marketing Copy",
        "Web Category L1",
        "Web Category L2",
        "Web Category L3",
        "Primary Image",
    ),
    ("p_id", "p_name.de", "p_desc.de", "p_cat.0", "p_cat.1", "p_cat.2", "p_image"),
]


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header[0])
def test_columns_of_a_shop_of_its_own_are_read_by_their_cells(header):
    def row(i):
        text = f"Thing number {i} is made of steel, and it is quite a useful one for a home of any size."
        return [f"AB-{i}", f"Useful thing of make {i}", text, *TREE[i % 7], f"https://shop.example/{i}.jpg"]

    rows = [dict(zip(header, row(i), strict=True)) | {"brand": f"Acme {i % 4}"} for i in range(60)]
    catalog = read(rows)
    columns = catalog.columns
    assert (columns.id, columns.title, columns.description) == header[:3]
    assert columns.levels == header[3:6]
    assert columns.images == header[6:]
    assert columns.fields == ("brand",)
    assert catalog[1].categories == (TREE[1],)


def test_columns_that_do_not_nest_are_no_levels():
    rows = [
        {"title": f"Useful thing {i}", "category": TREE[i % 7][1], "section": f"S{(i // 7) % 5} hall"}
        for i in range(60)
    ]
    assert read(rows).columns.category == "category"
    assert read(rows).columns.fields == ("section",)


@pytest.mark.parametrize(
    ("columns", "flags"),
    [
        (SHOP, ["-c category=dept"]),
        ({**SHOP, "Shop Section": path}, ['-c "category=Shop Section"']),
        ({"headline": SHOP["headline"], "xyz": path}, ["-c category=xyz"]),
        ({"Überschrift": SHOP["headline"], "Sortiment": leaf}, ["-c category=Sortiment"]),
        ({"題": SHOP["headline"], "売り場": leaf}, ["-c category=売り場"]),
        ({"title": SHOP["headline"], "category": "", "dept": leaf}, ["-c category=dept"]),
        ({"title": SHOP["headline"], "dept $x": leaf}, ["-c 'category=dept $x'"]),
        ({"artikeltext": SHOP["headline"], "gruppe": lambda i: f"{i % 6:03}"}, ["-c category=gruppe"]),
        ({"tekst": SHOP["headline"], "afdeling": lambda i: f"{i % 6:03}"}, ["-c category=afdeling"]),
    ],
)
def test_check_names_the_likeliest_columns_and_flags_that_can_be_pasted(tmp_path, columns, flags):
    path = tmp_path / "shop.json"
    shop = [{name: cell(i) if callable(cell) else cell for name, cell in columns.items()} for i in range(40)]
    path.write_text(json.dumps(shop))
    page = CliRunner().invoke(app, [str(path)], env={"COLUMNS": "200"}).stdout
    for flag in flags:
        assert flag in page
    pasted = shlex.split(" ".join(flags))
    data = json.loads(CliRunner().invoke(app, [str(path), *pasted, "--json"]).stdout)
    assert data["classes"]["labelled"] == 40
    assert not [f for f in data["findings"] if f["kind"] == "proposal" and "label" in f["message"]]


def test_nothing_is_proposed_that_the_cells_contradict():
    shop = rows(brand=lambda i: ["Acme", "Bolt"][i % 2], price=lambda i: f"{i}", sold=lambda i: str(i % 2))
    assert [f.message for f in found(read(shop), "proposal")] == []
    assert not found(read(rows(category=path)), "proposal")


def test_a_wide_file_is_summed_up_on_the_page_and_whole_in_json(tmp_path):
    path = tmp_path / "wide.csv"
    names = [f"Attribute {k} name" for k in range(300)]
    lines = [",".join(["sku", "name", "category", *names])]
    for i in range(30):
        cells = ["" if k % 3 == 0 else "x" if k % 3 == 1 else "ab"[i % 2] for k in range(300)]
        lines.append(",".join([str(i), f"a thing {i}", "AB"[i % 2], *cells]))
    path.write_text("\n".join(lines) + "\n")
    page = CliRunner().invoke(app, [str(path)], env={"COLUMNS": "120"}).stdout
    assert len(page.splitlines()) < 60
    for line in ("blank in every row: 100 columns", "one value in every row: 100 columns"):
        assert line in page
    assert "nearly gives the label away: 100 columns" in page
    assert "… and 280 more columns (--json lists all)" in page
    assert all(name in page for name in ("sku", "name", "category", "Attribute 0 name"))
    data = json.loads(CliRunner().invoke(app, [str(path), "--json"]).stdout)
    assert [column["name"] for column in data["columns"]] == ["sku", "name", "category", *names]
    assert {f["column"] for f in data["findings"] if f["kind"] == "column"} == set(names)


def test_some_columns_of_one_kind_come_with_one_flag(tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text("title,category,a,b,c d,e\n" + "".join(f"t{i},{'AB'[i % 2]},1,2,3,4\n" for i in range(9)))
    page = CliRunner().invoke(app, [str(path)], env={"COLUMNS": "120"}).stdout
    assert "one value in every row: 4 columns" in page
    assert '-c "ignored=a,b,c d,e"' in page
    page = CliRunner().invoke(app, [str(path), "-c", "ignored=a,b,c d,e"], env={"COLUMNS": "120"}).stdout
    assert "one value" not in page


def test_where_labels_do_not_matter_a_vague_name_stays_a_field():
    known = read(rows(category=path, type=leaf))
    assert (known.columns.category, known[0].fields["type"]) == ("category", "Pens")
    new = rows(type=leaf)  # as they are classified, without the label
    assert read(new, labels=False)[0].fields["type"] == "Pens"
    assert read(new).columns.category == "type"


@pytest.mark.parametrize("column", ["category_code", "Kategorienummer", "kategori_kod"])
def test_the_only_label_column_is_kept_even_if_it_holds_numbers(column):
    catalog = read(rows(**{column: lambda i: str(i % 2)}))
    assert catalog.columns.category == column
    assert len(catalog.taxonomy.terminals) == 2


def test_a_numbered_name_is_the_name():
    shop = read(rows(title="", **{"Bezeichnung 1": lambda i: f"Blauer Stift {i}", "Bezeichnung 2": "x"}))
    assert shop.columns.title == "Bezeichnung 1"
    assert read(rows(category_1=path)).columns.category == "category_1"


SHOPIFY = (
    "Handle,Title,Body (HTML),Vendor,Product Category,Option1 Value,Variant SKU,Image Src\n"
    "pen,Gel pen,<p>writes</p>,Acme,Office > Pens,Red,P0,a.jpg\n"
    "pen,,,,,Blue,P1,b.jpg\n"
    "pen,,,,,,,c.jpg\n"
    "mug,Tea mug,,Bolt,Kitchen > Mugs,,M0,d.jpg\n"
    "mug,,,,,Large,M1,\n"
    "cap,Cap,<p>warm</p>,,,,C0,e.jpg\n"
)


def test_rows_of_variants_and_images_are_one_product(tmp_path):
    export = tmp_path / "export.csv"
    export.write_text(SHOPIFY)
    for i in "abcde":
        (tmp_path / f"{i}.jpg").write_bytes(i.encode())
    catalog = read(export)
    assert [p.id for p in catalog] == ["pen", "mug", "cap"]
    assert [p.fields.get("title") for p in catalog] == ["Gel pen", "Tea mug", "Cap"]
    assert [p.fields.get("description") for p in catalog] == ["writes", None, "warm"]
    assert [p.fields.get("Vendor") for p in catalog] == ["Acme", "Bolt", None]
    assert [p.fields.get("Option1 Value") for p in catalog] == ["Red, Blue", "Large", None]
    pens, mugs = (("Office", "Pens"),), (("Kitchen", "Mugs"),)
    assert [p.categories for p in catalog] == [pens, mugs, ()]
    names = [[ref.path.name for ref in p.images] for p in catalog]
    assert names == [["a.jpg", "b.jpg", "c.jpg"], ["d.jpg"], ["e.jpg"]]  # those of all rows
    assert catalog.source_rows.tolist() == [0, 0, 0, 1, 1, 2]
    assert catalog.rows.tolist() == [1, 4, 6]
    assert [p.row for p in catalog.problems if "category" in p.message] == [6]


def test_bulk_work_reads_variant_rows_as_a_catalog_does(tmp_path):
    export = tmp_path / "export.csv"
    export.write_text(SHOPIFY)
    titles = []
    for piece in ChunkReader([export], rows=2):  # a product's rows lie in several pieces
        titles += [product.fields.get("title") for product in piece.catalog()]
    assert titles == [product.fields.get("title") for product in read(export)]


def test_rows_that_repeat_another_group_are_left_as_they_are():
    feed = [
        {"id": str(i), "item_group_id": "g", "title": "" if i else "a pen", "brand": "x"} for i in range(3)
    ]
    assert [product.fields.get("title") for product in read(feed)] == ["a pen", None, None]


def test_a_blank_column_with_the_right_name_counts_as_none():
    shop = rows(title="", Bilder="", words=lambda i: f"A blue pen of make {i}", visual=lambda i: f"{i}.jpg")
    proposed = {finding.action for finding in found(read(shop), "proposal")}
    assert proposed == {"if it is: -c title=words", "if it is: -c images=visual"}
