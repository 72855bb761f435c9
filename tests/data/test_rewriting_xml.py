"""Elements of XML feeds are set, and every other byte stays."""

import io

import pytest

from aisle.data.files import TableFile
from aisle.data.readers.base import ReadOptions
from aisle.data.rewriting.xml_cells import rewrite_xml
from tests.data.test_rewriting_csv import Fixed

HEAD = '<?xml version="1.0" encoding="{}"?>\n<!-- <item> é -->\n'
FEED = """<rss version="2.0" xmlns:{g}="http://base.google.com/ns/1.0">
  <channel>
    <title>Shop &amp; more</title>
    <item>
      <{g}:id>1</{g}:id>
      <{g}:title><![CDATA[A <b>red</b> bag é]]></{g}:title>
      <{g}:google_product_category>{first}</{g}:google_product_category>
      <{g}:shipping><{g}:price>3 &lt; 4</{g}:price></{g}:shipping>
    </item>
    <item><{g}:id>2</{g}:id><{g}:title>Box</{g}:title>{second}</item>
    <item>
      <{g}:id>3</{g}:id>
      <{g}:title>Hat</{g}:title>
      <{g}:link note="a > b"/>{third}
    </item>
  </channel>
</rss>
"""
COLUMN = "g:google_product_category"


def rewritten(path, editor, **options):
    out = io.BytesIO()
    return out.getvalue, rewrite_xml(TableFile(path), out, editor, ReadOptions(**options))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("prefix", ["g", "goods"])
def test_every_other_byte_stays(encoding, end, prefix, tmp_path):
    name = f"{prefix}:google_product_category"
    text = HEAD.format(encoding.removesuffix("-sig")) + FEED
    before = text.format(g=prefix, first="<![CDATA[Old]]>", second=f"<{name} a='/>' />", third="")
    after = text.format(
        g=prefix,
        first="<![CDATA[Bags & Cases]]>",
        second=f"<{name} a='/>'>Boxes &amp; more</{name}>",
        third=f"\n      <{name}>Hats</{name}>",
    )
    path = tmp_path / "feed.xml"
    path.write_bytes(before.replace("\n", end).encode(encoding))
    editor = Fixed((COLUMN,), {0: ["Bags & Cases"], 1: ["Boxes & more"], 2: ["Hats"]})
    data, summary = rewritten(path, editor, encoding=encoding)
    assert data().decode(encoding) == after.replace("\n", end)
    assert data() == after.replace("\n", end).encode(encoding)
    assert editor.seen == [["Old"], [""], [None]]
    assert (summary.rows, summary.changed) == (3, 3)


def test_a_long_feed_is_cut_anywhere(tmp_path):
    """Pieces of the text end inside tags, references, comments and CDATA."""
    items = [
        f"<item><g:id>{i}</g:id><g:title>T{'é' * (i % 7)} &amp; <![CDATA[<item>]]></g:title><!-- > --></item>"
        for i in range(3000)
    ]
    head = '<rss xmlns:g="http://base.google.com/ns/1.0"><channel>\n'
    path = tmp_path / "feed.xml"
    path.write_text(head + "\n".join(items) + "</channel></rss>\n")
    editor = Fixed((COLUMN,), {i: [f"C > {i}"] for i in range(0, 3000, 3)})
    data, summary = rewritten(path, editor)
    for i in range(0, 3000, 3):
        added = f"<{COLUMN}>C &gt; {i}</{COLUMN}>"
        items[i] = items[i].replace("</g:title>", f"</g:title>{added}")
    assert data().decode() == head + "\n".join(items) + "</channel></rss>\n"
    assert (summary.rows, summary.changed) == (3000, 1000)


def test_bytes_and_characters_that_are_not_xml_stay(tmp_path):
    path = tmp_path / "table.xml"
    body = b"<products>%s</products>"
    rows = b"<product><name>A\xff\x0b&#11;b</name><cat>x</cat></product>"
    rows += b"<product><name>&nbsp;\xe9</name><cat/></product>"
    path.write_bytes(body % rows)
    data, _ = rewritten(path, Fixed(("cat",), {0: ["y"], 1: ["z"]}), encoding="utf-8")
    assert data() == body % rows.replace(b"<cat>x", b"<cat>y").replace(b"<cat/>", b"<cat>z</cat>")


def test_a_character_that_the_encoding_lacks_is_a_reference(tmp_path):
    path = tmp_path / "table.xml"
    products = (f"<product><id>{i}</id><name>A</name></product>" for i in range(3))
    path.write_text(f"<products>{''.join(products)}</products>")
    data, _ = rewritten(path, Fixed(("category",), {0: ["日本"]}), encoding="cp1252")
    assert b"<category>&#26085;&#26412;</category></product>" in data()


def test_fields_that_attributes_name_are_set(tmp_path):
    row = '<row><field name="id">{i}</field><field name="title">T</field>{new}</row>'
    path = tmp_path / "dump.xml"
    path.write_text("<data>" + "".join(row.format(i=i, new="") for i in range(3)) + "</data>")
    data, _ = rewritten(path, Fixed(("title", "cat & more"), {1: ["U", "B"]}))
    changed = row.format(i=1, new='<field name="cat &amp; more">B</field>').replace(">T<", ">U<")
    rows = [row.format(i=0, new=""), changed, row.format(i=2, new="")]
    assert data().decode() == "<data>" + "".join(rows) + "</data>"
