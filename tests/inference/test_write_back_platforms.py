# ruff: noqa: E501 - rows of exports
"""Each platform's export comes back with its categories, and no other byte is changed.

In the templates, `{0}` to `{2}` stand for the category cells of the products, `{h}`, `{x0}` … and `{v}` for
the columns that are added to the header, to the rows of the products and to other rows.
"""

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

import aisle
from aisle.data.dialects.detection import dialect_names
from aisle.guarantee import Prediction
from aisle.inference.write_back import write_back_catalog
from aisle.taxonomy import Taxonomy, format_path
from tests.data import exports
from tests.inference.more_platforms import MORE

PATHS = (("Home", "Lamps, Bulbs & More"), ("Garden", "Pots", "Clay"))


class Export(NamedTuple):
    """A small export of three products, of which the last one is left for review."""

    dialect: str
    file: str
    template: str
    old: tuple[str, str, str] = ("", "", "")
    new: tuple[str, str] = ("Home > Lamps, Bulbs & More", "Garden > Pots > Clay")
    encoding: str = "utf-8"
    end: str = "\n"
    paths: tuple[tuple[str, ...], ...] = PATHS
    files: tuple[tuple[str, str], ...] = ()  # beside the export


EXPORTS = {
    "shopify": Export(
        "shopify",
        "products_export.csv",
        "Title,URL handle,Description,Vendor,Product category,Type,Tags,Published on online store,Status,SKU,"
        "Barcode,Option1 name,Option1 value,Price,Product image URL,Image position\n"
        'Lamp,lamp,"<p>A ""good"" lamp,\nreally</p>",V,{0},,"a, b",TRUE,Active,s1,,Size,S,9.50,https://x.test/1.jpg,1\n'
        ",lamp,,,,,,,,s2,,,M,9.50,https://x.test/2.jpg,2\n"
        "Pot,pot,Clay pot é,V,{1},,,TRUE,Active,s3,,,,3,,\n"
        "Thing,thing,?,V,{2},,,TRUE,Active,s4,,,,3,,",
        ("", "Old", "Kept"),
        ('"Home > Lamps, Bulbs & More"', "Garden > Pots > Clay"),
        "utf-8-sig",
        "\r\n",
    ),
    "shopify, legacy": Export(
        "shopify",
        "products_export_1.csv",
        "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,"
        "Variant SKU,Variant Price,Variant Barcode,Image Src,Image Position,Image Alt Text,Status\n"
        "lamp,Lamp,A lamp,V,{0},,,true,Title,Default Title,s1,9,,https://x.test/1.jpg,1,,active\n"
        "lamp,,,,,,,,,,,,,https://x.test/2.jpg,2,,\n"
        "pot,Pot,A pot,V,{1},,,true,Title,Default Title,s3,9,,,,,active\n"
        "thing,Thing,A thing,V,{2},,,true,Title,Default Title,s4,9,,,,,active\n",
        ('"Home > Lamps, Bulbs & More > Desk"', '""', '""'),
        ('"Home > Lamps, Bulbs & More > Desk"', '"Garden > Pots > Clay"'),  # the deeper one stays
    ),
    "woocommerce": Export(
        "woocommerce",
        "wc-product-export.csv",
        "ID,Type,SKU,Name,Published,Short description,Description,Regular price,Categories,Tags,Images,"
        "Parent,Attribute 1 name,Attribute 1 value(s){h}\n"
        "2,variation,l-r,Lamp - Red,1,,,9,,,,l,Color,Red{v}\n"
        '1,variable,l,Lamp,1,,"A lamp, bright",9,{0},,https://x.test/1.jpg,,Color,"Red, Blue"{x0}\n'
        "3,simple,p,Pot,1,,A pot,9,{1},,,,,{x1}\n"
        "4,simple,t,Thing,1,,A thing,9,{2},,,,,{x2}\n",
        ('"Sale, Old > X"', '"Garden, Garden > Pots, Garden > Pots > Clay"', '"A > B\\, C, D"'),
        ('"Home > Lamps\\, Bulbs & More"', '"Garden, Garden > Pots, Garden > Pots > Clay"'),
        "utf-8-sig",
    ),
    "woocommerce, German": Export(
        "woocommerce",
        "export.csv",
        "ID;Typ;Artikelnummer;Name;Veröffentlicht;Kurzbeschreibung;Beschreibung;Regulärer Preis;Kategorien;"
        "Schlagwörter;Bilder;Übergeordnetes Produkt;Attribut 1 Name;Attribut 1 Wert(e){h}\n"
        "1;simple;l;Lampe;1;;Eine schöne Lampe;9;{0};;;;Farbe;Rot{x0}\n"
        "2;simple;p;Topf;1;;Ein Topf;9;{1};;;;;{x1}\n"
        "3;simple;t;Ding;1;;Größe;9;{2};;;;;{x2}\n",
        new=("Home > Lamps\\, Bulbs & More", "Garden > Pots > Clay"),
        encoding="cp1252",
        end="\r\n",
    ),
    "magento": Export(
        "magento",
        "catalog_product.csv",
        "sku,store_view_code,attribute_set_code,product_type,categories,name,description,short_description,"
        "weight,price,url_key,base_image,additional_attributes,configurable_variations{h}\n"
        'l,,Default,configurable,{0},Lamp,A lamp,,1.5,9,lamp,/l.jpg,"color=Red,size=M",'
        '"sku=l-r,color=Red|sku=l-b"{x0}\n'
        "l-b,,Default,simple,{0},Lamp Blue,,,1.5,9,lamp-blue,,color=Blue,{x0}\n"
        "l-r,,Default,simple,,Lamp Red,,,1.5,9,lamp-red,,color=Red,{v}\n"
        "p,,Default,simple,{1},Pot,A pot,,2,9,pot,,,{x1}\n"
        "t,,Default,simple,{2},Thing,A thing,,2,9,thing,,,{x2}\n",
        ('"Default Category/Old,Default Category"', "", '"Default Category/Kept"'),
        ('"Default Category/Home/Lamps\\, Bulbs & More"', "Default Category/Garden/Pots/Clay"),
    ),
    "akeneo": Export(
        "akeneo",
        "products.csv",
        "sku;categories;enabled;family;groups;parent;name-en_US;description-en_US-ecommerce;price-EUR;picture\n"
        "l;{0};1;lamps;;;Lamp;A lamp;9.00;files/l.jpg\n"
        "p;{1};1;pots;;;Pot;A pot;9.00;\n"
        "t;{2};1;things;;;Thing;A thing;9.00;\n",
        ("old", "", "kept,old"),
        ("lamps_bulbs", "clay"),
        files=(
            (
                "categories.csv",
                "code;parent;label-en_US\nmaster;;Master\nhome;master;Home\nold;master;Old\n"
                "kept;master;Kept\nlamps_bulbs;home;Lamps, Bulbs & More\ngarden;master;Garden\n"
                "pots;garden;Pots\nclay;pots;Clay\n",
            ),
        ),
    ),
    "prestashop": Export(
        "prestashop",
        "products.csv",
        "Product ID;Active (0/1);Name *;Categories (x,y,z...);Price tax excluded;Reference #;Summary;"
        "Description;Image URLs (x,y,z...);Feature (Name:Value:Position:Customized){h}\n"
        "1;1;Lamp;{0};9.0;l;;A lamp;https://x.test/1.jpg;Color:Red:0{x0}\n"
        "2;1;Pot;{1};9.0;p;;A pot;;{x1}\n"
        "3;1;Thing;{2};9.0;t;;A thing;;{x2}\n",
        ("Home/Old", "Home", "Home/Kept"),
        ("Home/Garden/Pots/Clay", "Home/Toys"),
        paths=(("Garden", "Pots", "Clay"), ("Toys",)),
    ),
    "google": Export(
        "google",
        "feed.tsv",
        "id\ttitle\tdescription\tlink\timage_link\tprice\tavailability\tbrand\tgtin\titem_group_id\t"
        "google_product_category\tproduct_type{h}\n"
        "l1\tLamp\tA lamp\thttps://x.test/l\thttps://x.test/l.jpg\t9 EUR\tin_stock\tB\t\tl\t{0}\t{x0}\n"
        "l2\tLamp\tA lamp\thttps://x.test/l\thttps://x.test/l.jpg\t9 EUR\tin_stock\tB\t\tl\t{0}\t{x0}\n"
        "p\tPot\tA pot\thttps://x.test/p\t\t9 EUR\tin_stock\tB\t\t\t{1}\t{x1}\n"
        "t\tThing\tA thing\thttps://x.test/t\t\t9 EUR\tin_stock\tB\t\t\t{2}\t{x2}\n",
        ("", "5710", "Kept > This"),
    ),
    "google, xml": Export(
        "google",
        "feed.xml",
        '<?xml version="1.0"?>\n<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>\n'
        "<title>Shop</title>\n"
        "<item><g:id>l1</g:id><g:title>Lamp</g:title><g:link>https://x.test/l?a=1&amp;b=2</g:link>"
        "<g:google_product_category>{0}</g:google_product_category>{x0}</item>\n"
        "<item><g:id>p</g:id><title><![CDATA[Pot]]></title>"
        "<g:google_product_category>{1}</g:google_product_category>{x1}</item>\n"
        "<item><g:id>t</g:id><g:title>Thing</g:title><g:google_product_category>{2}"
        "</g:google_product_category>{x2}</item>\n</channel></rss>\n",
        ("<![CDATA[Old]]>", "", "Kept &gt; This"),
        ("<![CDATA[Home > Lamps, Bulbs & More]]>", "Garden &gt; Pots &gt; Clay"),
    ),
    "etsy": Export(
        "etsy",
        "EtsyListingsDownload.csv",
        "TITLE,DESCRIPTION,PRICE,CURRENCY_CODE,QUANTITY,TAGS,MATERIALS,IMAGE1,IMAGE2,VARIATION 1 TYPE,"
        "VARIATION 1 NAME,VARIATION 1 VALUES,SKU,TAXONOMY_PATH{h}\n"
        '"Lamp","A lamp",9,EUR,1,"a,b",,https://x.test/1.jpg,,,,,l,{0}{x0}\n'
        '"Pot","A pot",9,EUR,1,,,,,,,,p,{1}{x1}\n'
        '"Thing","A thing",9,EUR,1,,,,,,,,t,{2}{x2}\n',
        new=('"Home > Lamps, Bulbs & More"', "Garden > Pots > Clay"),
    ),
    "rakuten": Export(
        "rakuten",
        "normal-item.csv",
        '"商品管理番号（商品URL）","商品番号","商品名","PC用商品説明文","商品画像URL","表示先カテゴリ"\n'
        '"lamp","1","ランプ①髙","明るい ― ソ","https://x.test/1.jpg",{0}\n'
        '"lamp","1","ランプ①髙","","","セール"\n'
        '"pot","2","鉢","土の鉢","",{1}\n'
        '"thing","3","物","能","",{2}\n',
        ('"旧\\物"', '""', '"旧\\鉢"'),
        ('"家\\照明"', '"庭\\鉢\\土"'),
        encoding="cp932",
        end="\r\n",
        paths=(("家", "照明"), ("庭", "鉢", "土")),
    ),
}
EXPORTS |= {
    "amazon": Export(
        "amazon",
        "flat.file.txt",
        "TemplateType=fptcustom\tVersion=2020.1208\tTemplateSignature=x\t\t\t\t\n"
        "Product Type\tSeller SKU\tProduct Name\tMain image\tParent SKU\tNode\tDescription\n"
        "feed_product_type\titem_sku\titem_name\tmain_image_url\tparent_sku\trecommended_browse_nodes\t"
        "product_description\n"
        "lamp\tl\tLamp\thttps://x.test/1.jpg\t\t{0}\tA lamp\n"
        "lamp\tl-r\tLamp, red\thttps://x.test/2.jpg\tl\t{0}\tA lamp\n"
        "pot\tp\tPot\t\t\t{1}\tA pot é\n"
        "thing\tt\tThing\t\t\t{2}\tA thing\n",
        ("", "77", "88"),
        ("Lamps", "Clay"),
        "cp1252",
        "\r\n",
        (("Lamps",), ("Clay",)),
    ),
    "opencart": Export(
        "opencart",
        "products.csv",
        "product_id,name(en-gb),categories,sku,model,quantity,image_name,stock_status_id,tax_class_id,"
        "description(en-gb)\n"
        '1,Lamp,{0},l,L1,5,catalog/l.jpg,7,9,"A lamp, really"\n'
        "2,Pot,{1},p,P1,5,,7,9,A pot\n"
        "3,Thing,{2},t,T1,5,,7,9,A thing\n",
        ("", '"20,25"', "20"),
        ("25", '"33"'),
        paths=(("Home", "Lamps"), ("Garden",)),
        files=(
            (
                "categories.csv",
                "category_id,parent_id,name(en-gb)\n20,0,Home\n25,20,Lamps\n33,0,Garden\n",
            ),
        ),
    ),
    "opencart_csvprice": Export(
        "opencart_csvprice",
        "product_export.csv",
        "_ID_;_NAME_;_MODEL_;_SKU_;_CATEGORY_;_IMAGE_;_DESCRIPTION_{h}\n"
        "1;Lamp;L1;l;{0};catalog/l.jpg;A lamp{x0}\n2;Pot;P1;p;{1};;A pot{x1}\n3;Thing;T1;t;{2};;A thing{x2}\n",
        ("Old", "", "Kept|This"),
        ("Home|Lamps, Bulbs & More", "Garden|Pots|Clay"),
    ),
    "cscart": Export(
        "cscart",
        "cscart.csv",
        '"Product code";"Language";"Category";"List price";"Product name";"Description";"Detailed image"\n'
        '"L1";"en";{0};"0.00";"Lamp";"A lamp";"exim/l.jpg"\n"P1";"en";{1};"0.00";"Pot";"";""\n'
        '"T1";"en";{2};"0.00";"Thing";"";""\n',
        ('"Old"', '""', '"Kept///This"'),
        ('"Home///Lamps, Bulbs & More"', '"Garden///Pots///Clay"'),
    ),
    "prom": Export(
        "prom",
        "prom.csv",
        "Код_товара,Название_позиции,Описание,Тип_товара,Ссылка_изображения,Название_группы,Уникальный_идентификатор{h}\n"
        "L1,Лампа,Яркая,r,https://x.test/1.jpg,{0},1{x0}\nP1,Горшок,,r,,{1},2{x1}\nT1,Вещь,,r,,{2},3{x2}\n",
        ("Old", "", "Kept"),
        ("Лампы", "Горшки"),
        paths=(("Лампы",), ("Горшки",)),
    ),
    "woocommerce_plugin": Export(
        "woocommerce_plugin",
        "product_export.csv",
        "ID,post_title,post_content,post_status,sku,parent_sku,images,tax:product_type,tax:product_cat,"
        "attribute:Color{h}\n"
        "1,Lamp,A lamp,publish,l,,https://x.test/1.jpg ! alt : a,variable,{0},Red{x0}\n"
        "2,Lamp red,,publish,l-r,l,,variation,,Red{v}\n"
        "3,Pot,A pot,publish,p,,,simple,{1},{x1}\n"
        "4,Thing,A thing,publish,t,,,simple,{2},{x2}\n",
        ("Old", "", "Kept|This"),
        ('"Home > Lamps, Bulbs & More"', "Garden > Pots > Clay"),
    ),
    "woocommerce_api": Export(
        "woocommerce_api",
        "products.json",
        '[{{"id": 1, "name": "Lamp", "slug": "lamp", "permalink": "https://x.test/l", "regular_price": "9.0", '
        '"catalog_visibility": "visible", "parent_id": 0, "images": [{{"id": 5, "src": "https://x.test/1.jpg"}}], '
        '"categories": {0}{x0}}},\n {{"id": 2, "name": "Pot", "slug": "pot", "permalink": "https://x.test/p", '
        '"regular_price": "9.0", "catalog_visibility": "visible", "parent_id": 0, "images": [], '
        '"categories": {1}{x1}}},\n {{"id": 3, "name": "Thing", "slug": "t", "permalink": "https://x.test/t", '
        '"regular_price": "9.0", "catalog_visibility": "visible", "parent_id": 0, "images": [], '
        '"categories": {2}{x2}}}]\n',
        ('[{"id": 9, "name": "Old", "slug": "old"}]', "[]", '[{"id": 9, "name": "Old", "slug": "old"}]'),
        (
            '[{"name": "Home"}, {"name": "Lamps, Bulbs & More"}]',
            '[{"name": "Garden"}, {"name": "Pots"}, {"name": "Clay"}]',
        ),
    ),
    "shopify_api": Export(
        "shopify_api",
        "products.json",
        '{{"products": [{{"id": 1, "title": "Lamp", "body_html": "<p>é \\u00e9</p>", "vendor": "V", '
        '"handle": "lamp", "product_type": {0}, "variants": [], "options": []{x0}}},'
        '{{"id": 2, "title": "Pot", "body_html": "", "vendor": "V", "handle": "pot", "product_type": {1}, '
        '"variants": [], "options": []{x1}}},'
        '{{"id": 3, "title": "Thing", "body_html": "", "vendor": "V", "handle": "t", "product_type": {2}, '
        '"variants": [], "options": []{x2}}}]}}',
        ('""', "null", '"Kept"'),
        ('"Home > Lamps, Bulbs & More"', '"Garden > Pots > Clay"'),
    ),
}


EXPORTS |= {
    f"{dialect}, {file}": Export(dialect, file, template, **more)
    for dialect, (file, template, more) in MORE.items()
}


def predictions(catalog, paths):
    found = []
    for i, product in enumerate(catalog):
        best = paths[i] if i < len(paths) else ("Home",)
        decided = best if i < len(paths) else ()
        decision = "accept" if decided else "review"
        ids = format_path(best), format_path(decided) if decided else ""
        sure = (0.75,) * len(best)
        found.append(Prediction(product.id, best, ids[0], decided, ids[1], sure, decision, "", ()))
    return found


def added(export):
    """What stands for the added columns in the template."""
    names, ending = ("aisle_decision", "aisle_confidence"), Path(export.file).suffix
    mark = next((mark for mark in "\t;" if mark in export.template.split("\n")[0]), ",")
    written = {
        ".xml": lambda name, cell: f"<{name}>{cell}</{name}>",
        ".json": lambda name, cell: f', "{name}": "{cell}"',
    }.get(ending, lambda name, cell: mark + cell)
    rows = {"x0": ("accept", "0.75"), "x1": ("accept", "0.75"), "x2": ("review", "0.75"), "v": ("", "")}
    found = {
        key: "".join(written(name, cell) for name, cell in zip(names, cells, strict=True))
        for key, cells in rows.items()
    }
    return {"h": "".join(mark + name for name in names), **found}


@pytest.mark.parametrize("name", EXPORTS)
def test_the_export_comes_back_with_its_categories(name, tmp_path):
    export = EXPORTS[name]
    source, out = tmp_path / export.file, tmp_path / f"filled{Path(export.file).suffix}"
    for beside, text in export.files:
        (tmp_path / beside).write_text(text)

    def data(categories, extras):
        text = export.template.format(*categories, **extras)
        return text.replace("\n", export.end).encode(export.encoding)

    source.write_bytes(data(export.old, dict.fromkeys(("h", "x0", "x1", "x2", "v"), "")))
    catalog = aisle.read(source)
    assert catalog.dialect is not None
    assert catalog.dialect.name == export.dialect
    assert len(catalog) == 3
    model = SimpleNamespace(taxonomy=Taxonomy.from_paths(export.paths), catalog_format=None)
    done = write_back_catalog(catalog, predictions(catalog, export.paths), out, model)
    expected = data((*export.new, export.old[2]), added(export))
    assert out.read_bytes().decode(export.encoding) == expected.decode(export.encoding)
    assert out.read_bytes() == expected
    assert (done.decisions is None) is catalog.dialect.write_back.extra_columns
    if done.decisions is not None:
        assert done.decisions.name == "filled.decisions.csv"
        assert len(done.decisions.read_text("utf-8-sig").splitlines()) == 4
    again = aisle.read(out)
    held = [product.categories for product in again][: len(export.paths)]
    for path, paths in zip(export.paths, held, strict=True):
        assert any(other[: len(path)] == path for other in paths)


def test_each_dialect_is_covered():
    assert {export.dialect for export in EXPORTS.values()} == set(dialect_names())


@pytest.mark.parametrize("export", exports.EXPORTS, ids=lambda export: export.file)
def test_products_change_their_categories_and_nothing_else(export, tmp_path):
    """Each product gets the category of another one."""
    source = export.write(tmp_path)
    catalog = aisle.read(source)
    own = [product.categories[0] for product in catalog]
    paths = own[1:] + own[:1]
    out = tmp_path / f"out{source.suffix}"
    tree = Taxonomy.from_paths(paths)
    model = SimpleNamespace(taxonomy=tree, catalog_format=catalog.catalog_format)
    done = write_back_catalog(catalog, predictions(catalog, paths), out, model)
    again = aisle.read(out)
    for before, path, after in zip(catalog, paths, again, strict=True):
        assert path in after.categories
        assert (before.id, before.fields, before.images) == (after.id, after.fields, after.images)
    form = catalog.catalog_format
    if source.suffix in (".json", ".xml"):
        return

    def table(file):
        lines = io.StringIO(file.read_bytes().decode(form.encoding), newline="")
        return list(csv.reader(lines, delimiter=form.delimiter))

    column = next(row for row in table(source) if done.columns[0] in row).index(done.columns[0])
    for old, new in zip(table(source), table(out), strict=True):
        assert new[: len(old)] == [*old[:column], *new[column : column + 1], *old[column + 1 :]]
