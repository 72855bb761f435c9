"""Workbooks: the sheet of the products and its header row are found; cells are read as people see them."""

import datetime
import sys
import zipfile

import pytest

from aisle.data import read
from aisle.data.chunks import ChunkReader
from aisle.errors import CatalogError, MissingExtraError
from tests.data.catalogs import raw
from tests.extras import require

require("python_calamine", "excel")
openpyxl = pytest.importorskip("openpyxl", reason="writes the workbooks: pip install 'aisle[dev]'")
xlwt = pytest.importorskip("xlwt", reason="writes the workbooks: pip install 'aisle[dev]'")

TABLE = [["id", "title", "category"], [1, "mug", "Mugs"], ["002", "pen", "Pens"]]
ROWS = [{"id": "1", "title": "mug", "category": "Mugs"}, {"id": "002", "title": "pen", "category": "Pens"}]


def workbook(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def ods(path, rows):
    def cell(value):
        number = f' office:value="{value}"' if isinstance(value, int) else ""
        kind = "float" if number else "string"
        text = f"<text:p>{value}</text:p>"
        return f'<table:table-cell office:value-type="{kind}"{number}>{text}</table:table-cell>'

    body = "".join(f"<table:table-row>{''.join(map(cell, row))}</table:table-row>" for row in rows)
    names = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{short}:1.0"'
        for short in ("office", "table", "text")
    )
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        file.writestr("META-INF/manifest.xml", "<manifest/>")
        file.writestr(
            "content.xml",
            f"<office:document-content {names}><office:body><office:spreadsheet><table:table table:name='S'>"
            f"{body}</table:table></office:spreadsheet></office:body></office:document-content>",
        )
    return path


def xls(path, rows):
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            sheet.write(i, j, value)
    book.save(str(path))
    return path


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("x.xlsx", lambda path: workbook(path, S=TABLE)),
        ("x.csv", lambda path: workbook(path, S=TABLE)),
        ("x.xls", lambda path: xls(path, TABLE)),
        ("x.xlsx", lambda path: xls(path, TABLE)),
        ("x.ods", lambda path: ods(path, TABLE)),
    ],
)
def test_a_workbook_is_read_by_its_content(tmp_path, name, make):
    path = tmp_path / name
    made = make(tmp_path / ("made." + ("xls" if make.__code__.co_names[0] == "xls" else "xlsx")))
    made.rename(path)
    catalog = read(path)
    assert raw(catalog) == ROWS
    assert not catalog.problems
    (chunk,) = ChunkReader([path])
    assert raw(chunk.catalog()) == ROWS


def test_cells_are_read_as_people_see_them(tmp_path):
    rows = [
        ["SKU", "Title", "Price", "Added", "Changed", "In stock", "Note"],
        [4006381333931, "mug", 19.990000000000002, datetime.datetime(2024, 1, 5), None, True, "#N/A"],
        [7.0, " pen ", 5.0, None, datetime.datetime(2024, 1, 5, 10, 30), False, "new\nline"],
    ]
    catalog = read(workbook(tmp_path / "x.xlsx", S=rows))
    assert raw(catalog) == [
        {
            **{"SKU": "4006381333931", "Title": "mug", "Price": "19.99", "Added": "2024-01-05"},
            **{"Changed": "", "In stock": "true", "Note": ""},
        },
        {
            **{"SKU": "7", "Title": "pen", "Price": "5", "Added": "", "Changed": "2024-01-05T10:30:00"},
            **{"In stock": "false", "Note": "new\nline"},
        },
    ]
    assert not catalog.problems


def test_the_sheet_of_the_products_is_found_below_titles_and_groups(tmp_path):
    rows = [
        [],
        [None, "Price list 2024"],
        [None, "Basic", None, None, None, "Media"],
        [None, "SKU", "Title", "Category", None, "Image"],
        [None, 1, "mug", "Mugs", None, "a.jpg"],
        [],
        [None, 2, "cup", None, None, "b.jpg"],
    ]
    path = workbook(tmp_path / "x.xlsx", Readme=[["Fill in the sheet Products."]], Products=rows, Empty=[])
    catalog = read(path)
    assert raw(catalog) == [
        {"SKU": "1", "Title": "mug", "Category": "Mugs", "Image": "a.jpg"},
        {"SKU": "2", "Title": "cup", "Category": "", "Image": "b.jpg"},
    ]
    assert [str(problem) for problem in catalog.problems[:2]] == [
        "catalog: read from the sheet Products: 'not read: Readme, Empty'",
        "catalog: the column names are in line 4; lines above are not read",
    ]


def test_technical_names_below_a_header_in_words_are_the_header(tmp_path):
    rows = [
        ["TemplateType=fptcustom", "Version=2021.1014", "TemplateSignature=Q09BVA=="],
        ["Product Type", "Seller SKU", "Product Name", "Main Image URL"],
        ["feed_product_type", "item_sku", "item_name", "main_image_url"],
        ["coat", "C-1", "Rain coat", "1.jpg"],
    ]
    values = [["Product Type", "Brand Name"], ["coat", "Acme"]]
    catalog = read(workbook(tmp_path / "x.xlsx", Template=rows, Values=values))
    named = {
        "feed_product_type": "coat",
        "item_sku": "C-1",
        "item_name": "Rain coat",
        "main_image_url": "1.jpg",
    }
    assert raw(catalog) == [named]


def test_merged_cells_hold_their_value_in_every_row(tmp_path):
    book = openpyxl.Workbook()
    rows = [["id", "title", "category"], ["1", "mug", "Mugs"], ["2", "cup"], ["3", "pen", "Pens"]]
    for i, row in enumerate(rows, 3):
        for j, value in enumerate(row, 2):
            book.active.cell(i, j, value)
    book.active.merge_cells("D4:D5")
    book.save(tmp_path / "x.xlsx")
    assert [row["category"] for row in raw(read(tmp_path / "x.xlsx"))] == ["Mugs", "Mugs", "Pens"]


def test_sheets_with_the_same_header_are_one_catalog(tmp_path):
    more = [TABLE[0], [3, "cup", "Mugs"]]
    catalog = read(workbook(tmp_path / "x.xlsx", A=TABLE, B=more, Notes=[["nothing here"]]))
    assert [row["id"] for row in raw(catalog)] == ["1", "002", "3"]
    assert "read from the sheets A, B" in str(catalog.problems[0])


def test_a_header_without_products_is_an_empty_catalog(tmp_path):
    catalog = read(workbook(tmp_path / "x.xlsx", S=TABLE[:1]))
    assert (len(catalog), catalog.names) == (0, TABLE[0])


@pytest.mark.parametrize("size", [0.3, 0.9])
def test_half_a_workbook_is_refused_in_one_line(tmp_path, size):
    data = workbook(tmp_path / "x.xlsx", S=TABLE).read_bytes()
    (tmp_path / "half.xlsx").write_bytes(data[: int(size * len(data))])
    with pytest.raises(CatalogError, match=r"half\.xlsx: not a whole spreadsheet: .+"):
        read(tmp_path / "half.xlsx")


def test_a_blank_workbook_is_refused(tmp_path):
    with pytest.raises(CatalogError, match="holds no table: a line of column names"):
        read(workbook(tmp_path / "x.xlsx", S=[]))


def test_what_to_install_is_told(tmp_path, monkeypatch):
    path = workbook(tmp_path / "x.xlsx", S=TABLE)
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(MissingExtraError, match=r"needs python_calamine: pip install 'aisle\[excel\]'"):
        read(path)


EXCEL_XML = (
    '<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>'
    '<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" '
    'xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">'
    '<Worksheet ss:Name="P"><Table>'
    "<Row><Cell><Data>id</Data></Cell><Cell><Data>title</Data></Cell><Cell><Data>price</Data></Cell></Row>"
    '<Row><Cell><Data ss:Type="Number">1</Data></Cell><Cell><Data>mug &amp; cup</Data></Cell></Row>'
    '<Row><Cell ss:Index="2"><Data>pen</Data></Cell><Cell><Data>2</Data></Cell></Row>'
    "</Table></Worksheet></Workbook>"
)
PAGE = (
    "<html><head><meta charset=windows-1252></head><body><table><tr><td>Report</table>\n"
    "<table><tr><th>id<th>title<th>picture</tr><tr><td>1<td>café &amp; <b>mug</b><td><img src='a.jpg'>"
    "<tr><td>2</td><td>pen<br>blue</td></tr></table></body></html>"
)


def test_workbooks_in_xml_and_pages_under_the_name_xls_are_read(tmp_path):
    (tmp_path / "x.xls").write_text(EXCEL_XML)
    assert raw(read(tmp_path / "x.xls")) == [
        {"id": "1", "title": "mug & cup", "price": ""},
        {"id": "", "title": "pen", "price": "2"},
    ]
    (tmp_path / "page.xls").write_bytes(PAGE.encode("cp1252"))
    assert raw(read(tmp_path / "page.xls")) == [
        {"id": "1", "title": "café & mug", "picture": "a.jpg"},
        {"id": "2", "title": "pen\nblue", "picture": ""},
    ]
