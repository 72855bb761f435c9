"""Cells of workbooks are set, and all else stays."""

import io
import zipfile

import pytest

from aisle.data.files import TableFile
from aisle.data.rewriting.workbook_cells import rewrite_workbook
from aisle.errors import CatalogError
from tests.data.test_rewriting_csv import Fixed

openpyxl = pytest.importorskip("openpyxl")
pytest.importorskip("python_calamine")


def workbook(path, *, rows=5, formula=False):
    """A book with notes above the header, formats, a formula, a blank row and a second sheet."""
    book = openpyxl.Workbook()
    notes, sheet = book.active, book.create_sheet("Products")
    notes.title = "Read me"
    notes["A1"] = "How to fill this in"
    sheet["B2"] = "Our products"
    for k, name in enumerate(("id", "title", "category", "price", "total")):
        sheet.cell(4, 2 + k, name).font = openpyxl.styles.Font(bold=True)
    for i in range(rows):
        row = 5 + i + (i > 2)  # a blank row
        sheet.cell(row, 2, i)
        sheet.cell(row, 3, f"Té & {i}")
        if i % 2:
            sheet.cell(row, 4, '="o"&"ld"' if formula else f"old {i}").fill = openpyxl.styles.PatternFill(
                "solid", fgColor="FFFF00"
            )
        sheet.cell(row, 5, 1.5 * i).number_format = "0.00"
        sheet.cell(row, 6, f"=E{row}*2")
    book.save(path)
    return path


def cells(data):
    book = openpyxl.load_workbook(io.BytesIO(data))
    return {
        sheet.title: {
            cell.coordinate: (cell.value, cell.number_format, cell.font.bold, cell.fill.fgColor.rgb)
            for row in sheet.iter_rows()
            for cell in row
            if cell.value is not None
        }
        for sheet in book
    }


def rewritten(path, editor):
    out = io.BytesIO()
    summary = rewrite_workbook(TableFile(path), out, editor)
    return out.getvalue(), summary


def test_every_other_cell_and_part_stays(tmp_path):
    path = workbook(tmp_path / "in.xlsx")
    editor = Fixed(
        ("category", "aisle_confidence"), {0: ["A > B", "0.5"], 1: ["C & D", "0.25"], 4: ["E", ""]}
    )
    data, summary = rewritten(path, editor)
    before, after = cells(path.read_bytes()), cells(data)
    assert after["Read me"] == before["Read me"]
    new = {"D5": "A > B", "D6": "C & D", "D10": "E", "G4": "aisle_confidence", "G5": 0.5, "G6": 0.25}
    assert {key: cell[0] for key, cell in after["Products"].items() if key in new} == new
    assert after["Products"]["D6"][1:] == before["Products"]["D6"][1:]  # its format
    same = {key: cell for key, cell in after["Products"].items() if key not in new}
    assert same == {key: cell for key, cell in before["Products"].items() if key not in new}
    assert editor.seen == [["", None], ["old 1", None], ["", None], ["old 3", None], ["", None]]
    assert (summary.rows, summary.changed) == (5, 3)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(io.BytesIO(data)) as made:
        assert sorted(made.namelist()) == sorted(old.namelist())
        changed = [name for name in old.namelist() if made.read(name) != old.read(name)]
        assert changed == ["xl/worksheets/sheet2.xml"]
        assert 'ref="B2:G10"' in made.read(changed[0]).decode()


def test_without_new_cells_the_sheet_is_equal_byte_for_byte(tmp_path):
    path = workbook(tmp_path / "in.xlsx")
    data, _ = rewritten(path, Fixed(("category",), {}))
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(io.BytesIO(data)) as made:
        assert all(made.read(name) == old.read(name) for name in old.namelist())


def test_a_formula_that_is_replaced_leaves_the_list_of_formulas(tmp_path):
    path = workbook(tmp_path / "in.xlsx", formula=True)
    with zipfile.ZipFile(path, "a") as book:
        book.writestr("xl/calcChain.xml", "<calcChain/>")
    data, _ = rewritten(path, Fixed(("category",), {1: ["new"]}))
    assert cells(data)["Products"]["D6"][0] == "new"
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        assert "xl/calcChain.xml" not in made.namelist()


def test_other_workbooks_are_refused(tmp_path):
    path = tmp_path / "in.xlsx"
    path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(CatalogError, match=r"not a whole \.xlsx workbook"):
        rewritten(path, Fixed(("category",), {}))
