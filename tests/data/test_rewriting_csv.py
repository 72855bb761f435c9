"""Cells of CSV files are set, and every other byte stays."""

import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aisle
from aisle.data.files import TableFile
from aisle.data.readers.base import ReadOptions
from aisle.data.rewriting.csv_cells import rewrite_csv

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252", "cp932", "gb18030")
LETTERS = {"cp1252": "aZ é€ß", "cp932": "aZ ソ表能予ｱ髙", "gb18030": "aZ 汉字𠀀é"}


class Fixed:
    """Sets given cells."""

    def __init__(self, columns, cells):
        self.columns, self.cells, self.seen = columns, cells, []

    def __call__(self, row, old):
        self.seen.append(list(old))
        return self.cells.get(row, [None] * len(self.columns))


def rewritten(path, editor, **options):
    out = io.BytesIO()
    return out, rewrite_csv(TableFile(path), out, editor, ReadOptions(**options))


def encode(text, encoding):
    return ("\ufeff" + text).encode(encoding) if encoding == "utf-16-be" else text.encode(encoding)


@st.composite
def files(draw):
    """(encoding, delimiter, line end, rows of written cells, quotes of the header, the column, new cells)."""
    encoding = draw(st.sampled_from(ENCODINGS))
    delimiter, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    width = draw(st.integers(2, 4))
    letters = LETTERS.get(encoding, "aZ é日🛍") + delimiter + '"\n'
    cell = st.text(letters, max_size=6)

    def written(value, quoted):
        needs = quoted or any(mark in value for mark in (delimiter, '"', "\n"))
        return '"' + value.replace('"', '""') + '"' if needs else value

    rows = draw(
        st.lists(
            st.lists(st.builds(written, cell, st.booleans()), min_size=width, max_size=width),
            min_size=1,
            max_size=5,
        )
    )
    rows = [["r" + row[0] if row[0][:1] != '"' else row[0], *row[1:]] for row in rows]
    column = draw(st.integers(0, width))  # `width`: a column that is added
    new = draw(st.dictionaries(st.integers(0, len(rows) - 1), cell))
    return encoding, delimiter, end, rows, draw(st.booleans()), column, new, written


@settings(max_examples=60, deadline=None)
@given(files())
def test_every_other_byte_stays(tmp_path_factory, made):
    encoding, delimiter, end, rows, quoted, column, new, written = made
    names = [written(f"column {i}", quoted) for i in range(len(rows[0]))]
    path = tmp_path_factory.mktemp("csv") / "in.csv"

    def text(header, lines, last=end):
        return end.join(delimiter.join(line) for line in [header, *lines]) + last

    path.write_bytes(encode(text(names, rows), encoding))
    given_encoding = {"utf-16-be": "utf-16"}.get(encoding, encoding)
    editor = Fixed((f"column {column}",), {row: [value] for row, value in new.items()})
    out, summary = rewritten(path, editor, encoding=given_encoding, delimiter=delimiter)
    added = column == len(rows[0])
    if added:
        names = [*names, written(f"column {column}", quoted)]
        rows = [[*row, written(new.get(i, ""), quoted)] for i, row in enumerate(rows)]
    else:
        for i, value in new.items():
            rows[i][column] = written(value, rows[i][column][:1] == '"')
    assert out.getvalue() == encode(text(names, rows), encoding)
    assert (summary.rows, summary.changed, summary.malformed) == (len(rows), len(new), 0)


@pytest.mark.parametrize("head", ["sep=;\r\n", "\r\nsep=;\n", "\n\n", ""])
def test_lines_before_the_header_and_blank_lines_stay(head, tmp_path):
    path = tmp_path / "in.csv"
    text = head + "a;b\r\n\r\n1;2\n\n3;4"
    path.write_bytes(text.encode())
    out, summary = rewritten(path, Fixed(("b",), {0: ["x"], 1: ["y"]}))
    assert out.getvalue().decode() == text.replace(";2", ";x").replace(";4", ";y")
    assert summary.rows == 2


def test_damaged_records_are_copied_and_counted_as_the_reader_counts_them(tmp_path):
    path = tmp_path / "in.csv"
    good = 'id,title,category\n1,"a ""b""\nc",x\n'
    bad = '2,"open,x\n3,short\n4,un\nquoted,x\n5,a,b,c\n6,"q" z,x\n'
    path.write_text(good + bad + "7,last,x\n")
    editor = Fixed(("category",), {i: ["new"] for i in range(20)})
    out, summary = rewritten(path, editor)
    catalog = aisle.read(path, labels=False)
    assert summary.rows == len(catalog)
    assert [row[0] for row in editor.seen] == [catalog.raw(i)["category"] for i in range(len(catalog))]
    again = out.getvalue().decode().splitlines()
    assert again[:3] == ["id,title,category", '1,"a ""b""', 'c",new']
    assert again[-2:] == ['6,"q" z,new', "7,last,new"]
    assert '2,"open,x' in again  # copied
    assert summary.malformed + summary.changed == summary.rows


def test_bytes_that_cannot_be_decoded_stay(tmp_path):
    path = tmp_path / "in.csv"
    rows = [b"1,T\xffr \xe9,x", b"2,\x81,y", "3,é,z".encode()]
    path.write_bytes(b"\n".join([b"id,title,category", *rows]))
    out, _ = rewritten(path, Fixed(("category",), {i: ["ü"] for i in range(3)}))
    assert out.getvalue().split(b"\n")[1:] == [
        b"1,T\xffr \xe9,\xc3\xbc",
        b"2,\x81,\xc3\xbc",
        b"3,\xc3\xa9,\xc3\xbc",
    ]


def test_characters_with_two_encodings_stay(tmp_path):
    """In cp932, the NEC and IBM code of the same character decode alike, and only one is encoded."""
    path = tmp_path / "in.csv"
    body = b"1,\xed\xb9\xfa\xfc\x81,\xfa\xfc\n"  # an IBM character in its NEC code, and a lone first byte
    path.write_bytes(b"id,title,category\n" + body)
    out, _ = rewritten(path, Fixed(("category",), {0: ["服"]}), encoding="cp932")
    assert out.getvalue() == b"id,title,category\n1,\xed\xb9\xfa\xfc\x81," + "服".encode("cp932") + b"\n"


def test_a_value_that_the_encoding_lacks_leaves_its_row(tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes("id,title\n1,é\n2,è\n".encode("cp1252"))
    editor = Fixed(("category",), {0: ["日本"], 1: ["ok"]})
    out, summary = rewritten(path, editor, encoding="cp1252")
    assert out.getvalue().decode("cp1252") == "id,title,category\n1,é,\n2,è,ok\n"
    assert (summary.changed, summary.unencodable) == (1, 1)


def test_a_packed_file_is_read_unpacked(tmp_path):
    path = tmp_path / "in.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    out, _ = rewritten(path, Fixed(("b",), {0: ["3"]}))
    assert out.getvalue() == b"a,b\n1,3\n"


def test_a_single_column_gets_a_delimiter(tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes(b'title\nA "big" lamp, red \xff\nB\n"C, d"\n')
    out, summary = rewritten(path, Fixed(("category",), {0: ["x, y"], 2: ["z"]}))
    lines = [b"title,category", b'"A ""big"" lamp, red \xff","x, y"', b"B,", b'"C, d",z', b""]
    assert out.getvalue().split(b"\n") == lines
    assert summary.malformed == 0


def test_a_number_that_an_unquoted_comma_split_is_one_cell_and_stays_as_written(tmp_path):
    path = tmp_path / "prices.csv"
    lines = [
        "name,price,code,category,note",
        "Lamp,$1,199,7,Light,",
        "Rug,$99,8,Home,soft",
        "Bed,€2,499,9,Home,",
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    catalog = aisle.read(path)
    assert [row["price"] for row in catalog.table.to_pylist()] == ["$1,199", "$99", "€2,499"]
    assert [row["category"] for row in catalog.table.to_pylist()] == ["Light", "Home", "Home"]
    message = "an unquoted comma in a number; its parts were joined"
    assert [(p.row, p.message) for p in catalog.problems if p.row] == [(1, message), (3, message)]
    out, summary = rewritten(path, Fixed(["category"], {0: ["Lamps"], 2: ["Beds"]}))
    assert out.getvalue().decode() == path.read_text("utf-8").replace("Light", "Lamps").replace(
        "9,Home", "9,Beds"
    )
    assert (summary.changed, summary.malformed) == (2, 0)


def test_numbers_without_a_currency_are_not_joined_where_the_fields_in_excess_are_blank(tmp_path):
    path = tmp_path / "stock.csv"
    path.write_text("name,size,stock,category\nCap,20,100,Hats,\nHat,21,150,Hats\n")
    assert [row["stock"] for row in aisle.read(path).table.to_pylist()] == ["100", "150"]
