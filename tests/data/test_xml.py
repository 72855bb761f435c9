"""XML: feeds and tables by any name, as a stream; hostile and broken documents end in one line."""

import gzip

import pytest

from aisle.data import read
from aisle.data.chunks import ChunkReader
from aisle.errors import CatalogError
from tests.data.catalogs import check_refused, raw

FEED = """
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE rss [<!ENTITY euro "&#8364;">]>
<rss version="2.0" xmlns:PREFIX="http://base.google.com/ns/1.0">
<channel><title>Shop</title><link>http://shop.example</link>
<item><PREFIX:id>001</PREFIX:id><title>Blue caf&eacute; mug, 5 &euro;</title>
<PREFIX:image_link>1.jpg</PREFIX:image_link>
<PREFIX:additional_image_link>2.jpg</PREFIX:additional_image_link>
<PREFIX:additional_image_link>3.jpg</PREFIX:additional_image_link>
<PREFIX:product_type>Home &gt; Mugs</PREFIX:product_type>
<PREFIX:shipping><PREFIX:country>US</PREFIX:country><PREFIX:price>5 USD</PREFIX:price></PREFIX:shipping>
<description><![CDATA[<b>Big</b> & blue]]></description></item>
<item><PREFIX:id>002</PREFIX:id><title>Pen&#11;</title>
<PREFIX:product_type>Office &gt; Pens</PREFIX:product_type></item>
</channel></rss>
"""
YML = """<?xml version="1.0" encoding="windows-1251"?>
<!DOCTYPE yml_catalog SYSTEM "shops.dtd">
<yml_catalog date="2024-01-01"><shop><name>X</name>
<categories><category id="1">Одежда</category><category id="2" parentId="1">Обувь</category></categories>
<offers>
<offer id="9" available="true"><name>Ботинки</name><categoryId>2</categoryId><picture>1.jpg</picture>
<picture>2.jpg</picture><param name="Цвет">красный</param><param name="Размер">42</param></offer>
<offer id="10" available="false"><name>Шапка</name><categoryId>1</categoryId>
<param name="Цвет">синий</param></offer>
</offers></shop></yml_catalog>"""


def written(tmp_path, text, name="x.xml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def of(tmp_path, text, name="x.xml"):
    return read(written(tmp_path, text, name))


@pytest.mark.parametrize("prefix", ["g", "gg", "merchant"])
def test_a_google_feed_has_google_names_whatever_its_prefix(tmp_path, prefix):
    catalog = of(tmp_path, FEED.replace("PREFIX", prefix))
    assert raw(catalog)[0] == {
        "g:id": "001",
        "title": "Blue café mug, 5 €",
        "g:image_link": "1.jpg",
        "g:additional_image_link": '["2.jpg", "3.jpg"]',
        "g:product_type": "Home > Mugs",
        "g:shipping.g:country": "US",
        "g:shipping.g:price": "5 USD",
        "description": "<b>Big</b> & blue",
    }
    assert [(p.id, p.fields["title"], p.categories) for p in catalog] == [
        ("001", "Blue café mug, 5 €", (("Home", "Mugs"),)),
        ("002", "Pen", (("Office", "Pens"),)),
    ]
    assert catalog.image_names(0) == ["1.jpg", "2.jpg", "3.jpg"]
    (chunk,) = ChunkReader([tmp_path / "x.xml"])
    assert raw(chunk.catalog()) == raw(catalog)


def test_a_prefix_without_a_declaration_is_kept(tmp_path):
    items = "".join(f"<item><g:id>{i}</g:id><g:title>mug</g:title></item>" for i in "12")
    catalog = of(tmp_path, f"<rss><channel>{items}</channel></rss>")
    assert raw(catalog) == [{"g:id": "1", "g:title": "mug"}, {"g:id": "2", "g:title": "mug"}]


def test_an_atom_feed_is_read(tmp_path):
    entry = (
        '<entry><g:id>1</g:id><title>mug</title><link rel="alternate" href="http://shop.example/1"/>'
        "<summary>big</summary><g:image_link>1.jpg</g:image_link></entry>"
    )
    names = 'xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"'
    catalog = of(tmp_path, f"<feed {names}><title>Shop</title>{entry}</feed>")
    assert raw(catalog) == [
        {
            **{"g:id": "1", "title": "mug", "link": "http://shop.example/1", "link.rel": "alternate"},
            **{"summary": "big", "g:image_link": "1.jpg"},
        }
    ]


def test_a_yml_catalog_has_the_paths_of_its_categories(tmp_path):
    catalog = of(tmp_path, YML.encode("cp1251"))
    assert [(p.id, p.fields["title"], p.categories) for p in catalog] == [
        ("9", "Ботинки", (("Одежда", "Обувь"),)),
        ("10", "Шапка", (("Одежда",),)),
    ]
    assert [row["param"] for row in raw(catalog)] == [
        '{"Цвет": "красный", "Размер": "42"}',
        '{"Цвет": "синий"}',
    ]
    assert catalog.image_names(0) == ["1.jpg", "2.jpg"]


def test_parents_in_a_cycle_and_codes_listed_twice_leave_paths(tmp_path):
    listed = [
        ("1", "", "Sport"),
        ("2", "1", "Camping"),
        ("3", "2", "Tents"),
        ("2", "2", "Bottles"),
        ("4", "5", "Tea"),
        ("5", "4", "Drinks"),
    ]
    names = "".join(f'<category id="{a}" parentId="{b}">{name}</category>' for a, b, name in listed)
    codes = ("3", "2", "4")
    offers = "".join(f'<offer id="{c}"><name>thing</name><categoryId>{c}</categoryId></offer>' for c in codes)
    shop = f"<categories>{names}</categories><offers>{offers}</offers>"
    catalog = of(tmp_path, f"<yml_catalog><shop>{shop}</shop></yml_catalog>")
    assert [product.categories[0] for product in catalog] == [
        ("Sport", "Camping", "Tents"),
        ("Sport", "Camping"),
        ("Drinks", "Tea"),
    ]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (
            "<items><row id='1' title='a' category='A &gt; B'/><row id='2' title='b' category='A'/></items>",
            [{"id": "1", "title": "a", "category": "A > B"}, {"id": "2", "title": "b", "category": "A"}],
        ),
        ("<product id='1'><title>mug</title></product>", [{"title": "mug", "id": "1"}]),
        (
            "<resultset><row><field name='id'>1</field><field name='title'>mug</field></row>"
            "<row><field name='id'>2</field><field name='title'/></row></resultset>",
            [{"id": "1", "title": "mug"}, {"id": "2", "title": ""}],
        ),
        (
            "<shop><groups><group id='1' x='2'/><group id='2' x='3'/></groups><list>"
            "<thing><sku>1</sku><name>a</name><price currency='EUR'>5</price></thing>"
            "<thing><sku>2</sku><name>b</name></thing></list></shop>",
            [
                {"sku": "1", "name": "a", "price": "5", "price.currency": "EUR"},
                {"sku": "2", "name": "b", "price": None, "price.currency": None},
            ],
        ),
        (
            "<catalog><category name='Shoes'><product><id>1</id>"
            "<maker><name>Acme</name><city>Ulm</city></maker><images><image>a.jpg</image></images></product>"
            "</category><category name='Hats'><product><id>3</id>"
            "<images><image>b.jpg</image><image url='c.jpg'/></images></product></category></catalog>",
            [
                {
                    **{"category.name": "Shoes", "id": "1", "maker.name": "Acme", "maker.city": "Ulm"},
                    "images": '["a.jpg"]',
                },
                {
                    **{"category.name": "Hats", "id": "3", "maker.name": None, "maker.city": None},
                    "images": '["b.jpg", "c.jpg"]',
                },
            ],
        ),
        (
            "<products><product><id>1</id><text>A <b>big</b> mug</text>"
            "<variant><size>S</size><sku>1</sku></variant><variant><size>M</size><sku>2</sku></variant>"
            "</product><product><id>2</id></product></products>",
            [
                {
                    **{"id": "1", "text": "A  mugbig"},
                    **{"variant.size": "S, M", "variant.sku": "1"},
                },
                {"id": "2", "text": None, "variant.size": None, "variant.sku": None},
            ],
        ),
        (  # Ceneo
            "<offers><o id='1'><name>mug</name><imgs><main url='1.jpg'/><i url='2.jpg'/></imgs>"
            "<attrs><a name='Kolor'>red</a></attrs></o><o id='2'><name>cup</name></o></offers>",
            [
                {"name": "mug", "imgs": '["1.jpg", "2.jpg"]', "attrs": '{"Kolor": "red"}', "id": "1"},
                {"name": "cup", "imgs": None, "attrs": None, "id": "2"},
            ],
        ),
        (  # Heureka
            "<SHOP><SHOPITEM><ID>1</ID><PARAM><PARAM_NAME>Barva</PARAM_NAME><VAL>red</VAL></PARAM>"
            "<PARAM><PARAM_NAME>Size</PARAM_NAME><VAL>M</VAL></PARAM></SHOPITEM><SHOPITEM><ID>2</ID>"
            "<PARAM><PARAM_NAME>Barva</PARAM_NAME><VAL>blue</VAL></PARAM></SHOPITEM></SHOP>",
            [
                {"ID": "1", "PARAM": '{"Barva": "red", "Size": "M"}'},
                {"ID": "2", "PARAM": '{"Barva": "blue"}'},
            ],
        ),
        (  # WordPress
            "<rss><channel><item><title>Tee</title><category domain='product_type'>simple</category>"
            "<category domain='product_cat' nicename='a'>A</category>"
            "<wp:postmeta><wp:meta_key>_sku</wp:meta_key><wp:meta_value>x</wp:meta_value></wp:postmeta></item></channel></rss>",
            [{"title": "Tee", "product_type": "simple", "product_cat": "A", "wp:postmeta": '{"_sku": "x"}'}],
        ),
    ],
)
def test_the_repeated_element_is_the_record(tmp_path, text, rows):
    assert raw(of(tmp_path, text)) == rows


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252", "iso-8859-15"])
def test_encodings_are_those_declared(tmp_path, encoding):
    records = "<p><id>1</id><t>café</t></p><p><id>2</id><t>ü</t></p>"
    text = f"<?xml version='1.0' encoding='{encoding}'?><a>{records}</a>"
    assert [row["t"] for row in raw(of(tmp_path, text.encode(encoding)))] == ["café", "ü"]


def test_bytes_that_mean_nothing_are_problems_of_their_row(tmp_path):
    rows = "".join(f"<p><id>{i}</id>\n<t>café</t></p>\n" for i in range(20)).encode()
    catalog = of(tmp_path, b"<a>" + rows + b"<p><id>x</id>\n<t>T\x81r caf\xc3\xa9</t></p></a>")
    (problem,) = catalog.problems
    assert (problem.row, problem.column) == (21, "t")
    assert "x81" in problem.value
    assert catalog.raw(0)["t"] == "café"


def test_a_record_may_span_many_pieces_and_records_many_batches(tmp_path):
    long = "word " * 40_000
    records = "".join(f"<p><id>{i}</id><t>{long if i == 5 else 'x &amp; y'}</t></p>" for i in range(5000))
    catalog = of(tmp_path, f"<a>{records}</a>")
    assert len(catalog) == 5000
    assert catalog.raw(5)["t"] == long.strip()
    assert catalog.raw(4999) == {"id": "4999", "t": "x & y"}


@pytest.mark.parametrize("listed", ["", "<categories><category id='7'>Lamps</category></categories>"])
def test_codes_of_a_yml_catalog_that_does_not_name_them_are_its_categories(tmp_path, listed):
    offers = "".join(
        f"<offer id='{i}'><price>9</price><currencyId>EUR</currencyId><categoryId>{code}</categoryId>"
        f"<name>mug {i}</name><picture>https://x.example/{i}.jpg</picture></offer>"
        for i, code in enumerate(("20003", "10020"))
    )
    catalog = of(tmp_path, f"<yml_catalog><shop>{listed}<offers>{offers}</offers></shop></yml_catalog>")
    assert [product.categories for product in catalog] == [(("20003",),), (("10020",),)]


def test_czech_names_of_columns_are_known(tmp_path):
    header = '"Název produktu (CZ)";"Kategorie";"Popis (CZ)";"Kód produktu";"Online obrázky"'
    (tmp_path / "x.csv").write_text(f'{header}\n"Hrnek";"Kuchyň";"Bílý";"A1";"https://x.example/1.jpg"\n')
    (product,) = read(tmp_path / "x.csv")
    assert (product.id, product.categories) == ("A1", (("Kuchyň",),))
    assert product.fields == {"title": "Hrnek", "description": "Bílý"}
    assert read(tmp_path / "x.csv").image_names(0) == ["https://x.example/1.jpg"]


VARIANTS = (
    "<variant><sku>A{0}</sku><size>S</size><image>http://x.example/{0}.jpg</image></variant>"
    "<variant><sku>B{0}</sku><size>L</size><image>http://x.example/{0}b.jpg</image></variant>"
)


@pytest.mark.parametrize("wrapper", ["variants", "Variations", ""])
def test_images_and_ids_of_nested_variants_are_those_of_the_product(tmp_path, wrapper):
    inner = f"<{wrapper}>{VARIANTS}</{wrapper}>" if wrapper else VARIANTS
    one = inner.format(2).replace("<variant><sku>B2", "<x><sku>").partition("<x>")[0]
    one = f"{one}</{wrapper}>" if wrapper else one
    catalog = of(
        tmp_path,
        f"<items><item><name>mug</name><category>Kitchen</category>{inner.format(1)}</item>"
        f"<item><name>pen</name><category>Office</category>{one}</item></items>",
    )
    first, second = catalog
    assert [first.id, second.id] == ["A1", "A2"]
    assert catalog.image_names(0) == ["http://x.example/1.jpg", "http://x.example/1b.jpg"]
    assert catalog.image_names(1) == ["http://x.example/2.jpg"]
    assert first.fields == {"title": "mug", f"{wrapper or 'variant'}.size": "S, L"}


def test_the_own_id_of_a_product_is_before_that_of_its_variants(tmp_path):
    rows = "".join(f"<item><id>{i}</id><name>mug {i}</name>{VARIANTS.format(i)}</item>" for i in range(3))
    assert [product.id for product in of(tmp_path, f"<items>{rows}</items>")] == ["0", "1", "2"]


BOMB = '<!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]><l><p><q>&b;</q><r/></p></l>'
FILE = '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><l><p><q>&a;</q><r/></p></l>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FEED[:700], "ends in its middle, on line 12: the file is cut off"),
        ("<ps>\n<p><id>1</id><t>a & b</t></p></ps>", "on line 2, column 20 (is an & or < there"),
        ("<ps><p><id>1</id></q></ps>", "not well-formed XML: mismatched tag on line 1"),
        ("<x><a/><b/></x><x/>", "are there two documents in one file?"),
        (BOMB, "declares the entity 'b'"),
        (FILE, "declares the entity 'a'"),
        ("<products/>", "no repeated element that could be a product"),
        ("hello", "not XML"),
        ("<a>" * 300 + "</a>" * 300, "nested more than 200 deep"),
    ],
)
def test_a_broken_or_hostile_document_is_refused_in_one_line(tmp_path, text, message):
    check_refused(written(tmp_path, text), message)


def test_half_a_packed_document_is_refused(tmp_path):
    data = gzip.compress(FEED.encode(), mtime=0)
    with pytest.raises(CatalogError, match="cannot be read: Compressed file ended"):
        of(tmp_path, data[: len(data) // 2], "x.xml.gz")
    assert len(of(tmp_path, data, "y.xml.gz")) == 2


def test_rows_before_a_fault_are_not_taken_for_the_whole(tmp_path):
    records = "".join(f"<p><id>{i}</id><t>mug</t></p>" for i in range(3000))
    (tmp_path / "x.xml").write_text(f"<a>{records}")
    with pytest.raises(CatalogError, match="cut off"):
        read(tmp_path / "x.xml")
    with pytest.raises(CatalogError, match="cut off"):
        list(ChunkReader([tmp_path / "x.xml"], rows=500))
