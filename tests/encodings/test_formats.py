"""Files that are no table of text are refused by name, whatever they are called; `sep=` names a delimiter."""

import gzip
import io
import subprocess
import sys
import zipfile

import pytest
import zstandard

from aisle.data import read
from aisle.errors import AisleError, CatalogError

FEED = (
    '<?xml version="1.0"?>\n<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>\n'
    "<item><g:id>1</g:id><title>blue mug, big</title></item>\n</channel></rss>\n"
)
TABLE = "<table border='1'><tr><th>id</th><th>title</th></tr>\n<tr><td>1</td><td>mug</td></tr></table>\n"
CATALOG = "<products>\n<product id='1'><title>mug</title></product>\n</products>\n"


def workbook(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("x.jsonl", FEED.encode(), "XML, an RSS feed: let its name end in .xml"),
        ("x.parquet", FEED.encode(), "XML, an RSS feed: let its name end in .xml"),
        ("x.json", ("<!DOCTYPE html>\n<html><body>" + TABLE).encode(), "HTML: let its name end in .html"),
        ("x.jsonl", b"<feed xmlns='http://www.w3.org/2005/Atom'><entry/></feed>", "an Atom feed"),
        ("x.csv", b"MIME-Version: 1.0\nContent-Type: multipart/related;\n", "a web archive (MHTML)"),
        ("x.csv", b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (
            "x.jsonl",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504),
            "an Excel workbook: let its name end in .xls",
        ),
        (
            "x.parquet",
            workbook("[Content_Types].xml", "xl/workbook.xml"),
            "workbook: let its name end in .xlsx",
        ),
        ("x.csv", workbook("word/document.xml"), "a Word document"),
        ("x.csv", b"SQLite format 3\0", "sqlite:///shop.db?table=products"),
        ("x.csv", b'{"id": 1, "title": "a"}\n{"id": 2, "title": "b"}\n', "JSON: let its name end in .jsonl"),
        ("x.csv", b'[\n  {"id": 1, "title": "a"}\n]', "JSON: let its name end in .json"),
        ("x.xlsx", workbook("[Content_Types].xml", "xl/workbook.xml"), "not a whole spreadsheet"),
        ("x.ods", workbook("mimetype-opendocument.spreadsheet"), "not a whole spreadsheet"),
        ("x.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "not a whole spreadsheet"),
        ("x.html", b"<!DOCTYPE html><html><body><p>Please log in.</p></body></html>", "holds no table"),
    ],
)
def test_other_formats_are_refused_by_name(tmp_path, name, data, told):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(CatalogError, match=name) as failed:
        read(path)
    assert f"but {told}" in str(failed.value) or told in str(failed.value)
    assert "\n" not in str(failed.value)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["check", "duplicates", "split", "train"])
def test_commands_end_in_one_line_and_exit_code_2(tmp_path, command):
    path = tmp_path / "feed.csv"
    path.write_text(FEED[:-30])
    out = ["--out", str(tmp_path / "o.csv")] if command in ("split", "train") else []
    words = [sys.executable, "-m", "aisle", command, str(path), *out]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert " ".join(done.stderr.split()) == (
        f"error: {path}: the XML ends in its middle, on line 3: the file is cut off"
    )
    assert not (tmp_path / "o.csv").exists()


ROW = [{"id": "1", "title": "mug"}]


@pytest.mark.parametrize(
    ("name", "data", "rows"),
    [
        ("x.xml", FEED.encode(), [{"g:id": "1", "title": "blue mug, big"}]),
        ("x.csv", b"\xef\xbb\xbf" + FEED.encode(), [{"g:id": "1", "title": "blue mug, big"}]),
        ("x.csv", ("\n \n<!-- made by a plugin -->\n" + FEED[22:]).encode(), None),
        ("x.tsv", FEED.encode("utf-16"), None),
        ("x.csv", FEED.encode("utf-16-le"), None),
        ("x.csv.gz", gzip.compress(FEED.encode(), mtime=0), None),
        ("x.csv.zst", zstandard.compress(TABLE.encode()), ROW),
        ("x.xls", TABLE.encode(), ROW),
        ("x.csv", ("<!DOCTYPE html>\n<html><body>" + TABLE).encode(), ROW),
        ("x.csv", CATALOG.encode(), ROW),
        ("x.csv", ("<!DOCTYPE products [<!ELEMENT title (#PCDATA)>]>" + CATALOG).encode(), ROW),
    ],
)
def test_markup_is_read_whatever_a_text_file_is_called(tmp_path, name, data, rows):
    (tmp_path / name).write_bytes(data)
    catalog = read(tmp_path / name)
    found = [catalog.raw(i) for i in range(len(catalog))]
    assert found == (rows or [{"g:id": "1", "title": "blue mug, big"}])


def test_xml_without_categories_is_no_tree(tmp_path):
    (tmp_path / "tree.xml").write_text("<tree><node>Pens</node></tree>")
    with pytest.raises(AisleError, match=r"tree\.xml: the XML holds no categories that are known"):
        read([{"title": "a", "category": "Pens"}], taxonomy=tmp_path / "tree.xml")


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("x.csv", "<SKU>,<NAME>\n1,mug\n", ["<SKU>", "<NAME>"]),
        ("x.csv", "title,html\n<b>mug</b>,<p>big</p>\n", ["title", "html"]),
        ("x.csv", "ORCID,title\n1,mug\n", ["ORCID", "title"]),
        ("x.xls", "id\ttitle\n1\tmug\n", ["id", "title"]),
    ],
)
def test_tables_that_only_look_like_something_else_are_read(tmp_path, name, text, columns):
    (tmp_path / name).write_text(text)
    catalog = read(tmp_path / name)
    assert catalog.names == columns
    assert len(catalog) == 1


BODY = "id;title;category\r\n1;mug, big;Mugs\r\n2;pen;Pens\r\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.csv", ("sep=;\r\n" + BODY).encode()),
        ("x.csv", ("\ufeffsep=;\r\n" + BODY).encode()),
        ("x.csv", ("sep=;\r\n" + BODY).encode("utf-16")),
        ("x.csv", ('"sep=;"\n' + BODY).encode()),
        ("x.csv", ("SEP=;;;\n" + BODY).encode()),
        ("x.csv", ("\n\nsep=;\n" + BODY).encode()),
        ("x.csv", ("sep=\\t\n" + BODY.replace(";", "\t")).encode()),
        ("x.csv", ("sep=\t\n" + BODY.replace(";", "\t")).encode()),
        ("x.csv", ("Sep = ~\r\n" + BODY.replace(";", "~")).encode()),
        ("x.csv", ("sep=,\n" + BODY.replace("mug, big", '"mug, big"').replace(";", ",")).encode()),
        ("x.tsv", ("sep=;\n" + BODY).encode()),
        ("x.csv.gz", gzip.compress(("sep=;\n" + BODY).encode(), mtime=0)),
    ],
)
def test_a_first_line_that_says_sep_names_the_delimiter(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    catalog = read(path)
    assert [catalog.raw(i) for i in range(2)] == [
        {"id": "1", "title": "mug, big", "category": "Mugs"},
        {"id": "2", "title": "pen", "category": "Pens"},
    ]
    assert not catalog.problems
