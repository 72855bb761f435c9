"""Each kind of published tree is recognised by its content; rows are invented, headers are real."""

import json

import pytest

from aisle.errors import TaxonomyError
from aisle.taxonomy import read_tree_file
from aisle.taxonomy.formats.codes import gs1_digit, luhn_digit, mod11_digit

A, AB, ABC = ("Tools",), ("Tools", "Hand tools"), ("Tools", "Hand tools", "Hammers")

SHOPIFY = """# Shopify Product Taxonomy - Categories: 2099-01
# Format: {GID} : {Ancestor name} > ... > {Category name}

gid://shopify/TaxonomyCategory/ha   : Tools
gid://shopify/TaxonomyCategory/ha-1 : Tools > Hand tools
gid://shopify/TaxonomyCategory/ha-1-2 : Tools > Hand tools > Hammers
"""
GPC_XML = """<?xml version="1.0" encoding="UTF-8"?>
<ns:schema xmlns:ns="http://gpc" dateUtc="2099-01-01"><segment code="82000000" text="Tools" definition="">
<family code="82010000" text="Hand tools" definition=""><class code="82010100" text="Hammers" definition="">
<brick code="10003390" text="Claw hammers" definition=""><attType code="20001" text="Head material">
<attValue code="30001" text="STEEL"/></attType></brick></class></family></segment></ns:schema>"""
GPC_JSON = {
    "LanguageCode": "EN",
    "Schema": [
        {"Level": 1, "Code": 82000000, "Title": "Tools", "Active": True, "Childs": [
            {"Level": 2, "Code": 82010000, "Title": "Hand tools", "Active": True, "Childs": [
                {"Level": 3, "Code": 82010100, "Title": "Hammers", "Active": True, "Childs": [
                    {"Level": 4, "Code": 10003390, "Title": "Claw hammers", "Active": True, "Childs": [
                        {"Level": 5, "Code": 20001, "Title": "Head material", "Active": True, "Childs": []}]},
                    {"Level": 4, "Code": 10003391, "Title": "Old hammers", "Active": False, "Childs": []},
                ]}]}]},
    ],
}  # fmt: skip
UNSPSC = """Key,Segment,Segment Title,Family,Family Title,Class,Class Title,Commodity,Commodity Title,Synonym
1,27000000,Tools,27110000,Hand tools,27111600,Hammers,27111601,Sledge hammers,mallets; mauls
2,27000000,Tools,27110000,Hand tools,27111600,Hammers,27111602,Claw hammers,
"""
UNSPSC_CODES = "Code,Title\n27000000,Tools\n27110000,Hand tools\n27111600,Hammers\n27111602,Claw hammers\n"
HS = """section,hscode,description,parent,level
XV,82,Tools,TOTAL,2
XV,8205,Hand tools,82,4
XV,820520,Hammers,8205,6
"""
CN = """CN_CODE;DESCRIPTION
XV;Base metals
82;Tools
8205;Hand tools
8205 20;- Hammers
8205 20 10;- - Claw hammers
"""
ETIM = """ARTGROUPID;GROUPDESC;ARTCLASSID;ARTCLASSDESC
EG000001;Tools;EC000011;Hammers
EG000001;Tools;EC000012;Saws
"""
ETIM_XML = """<IXF xmlns="http://www.etim-international.com/etimixf/3"><Groups><Group><Code>EG000001</Code>
<Translations><Translation language="EN"><Description>Tools</Description></Translation></Translations></Group>
</Groups><Classes><Class><Code>EC000011</Code><GroupCode>EG000001</GroupCode><Translations>
<Translation language="EN"><Description>Hammers</Description><Synonyms><Synonym>Mallets</Synonym></Synonyms>
</Translation><Translation language="de"><Description>Hämmer</Description></Translation></Translations>
</Class></Classes></IXF>"""
ECLASS = """Supplier;IdCC;Identifier;VersionNumber;CodedName;PreferredName;Level
0173-1;0173-1#01-AAA001#005;AAA001;005;21000000;Tools;1
0173-1;0173-1#01-AAA002#005;AAA002;005;21040000;Hand tools;2
0173-1;0173-1#01-AAA003#005;AAA003;005;21040300;Hammers;3
0173-1;0173-1#01-AAA004#005;AAA004;005;21040301;Claw hammers;4
"""
AKENEO = """code;parent;label-de_DE;label-en_US
tools;;Werkzeug;Tools
hand;tools;Handwerkzeug;Hand tools
hammers;hand;Hämmer;Hammers
"""
AKENEO_JSON = {
    "_embedded": {
        "items": [
            {"code": "tools", "parent": None, "labels": {"en_US": "Tools", "fr_FR": "Outils"}},
            {"code": "hand", "parent": "tools", "labels": {"en_US": "Hand tools"}},
            {"code": "hammers", "parent": "hand", "labels": {"en_US": "Hammers"}},
        ]
    }
}
MAGENTO = """entity_id,parent_id,path,position,level,name
1,0,1,0,0,Root Catalog
2,1,1/2,1,1,Default Category
3,2,1/2/3,1,2,Tools
4,3,1/2/3/4,1,3,Hand tools
5,4,1/2/3/4/5,1,4,Hammers
"""
MAGENTO_JSON = {
    "id": 2, "parent_id": 1, "name": "Default Category", "is_active": True, "level": 1, "children_data": [
        {"id": 3, "parent_id": 2, "name": "Tools", "children_data": [
            {"id": 4, "parent_id": 3, "name": "Hand tools", "children_data": [
                {"id": 5, "parent_id": 4, "name": "Hammers", "children_data": []}]}]}],
}  # fmt: skip
WOOCOMMERCE = """term_id,name,slug,description,display_type,parent,thumbnail
11,Tools,tools,"Line one
line two",,0,
12,Hand tools,hand-tools,,,tools,
13,Hammers,hammers,,,hand-tools,
"""
WOOCOMMERCE_JSON = [
    {"id": 11, "name": "Tools", "slug": "tools", "parent": 0},
    {"id": 12, "name": "Hand tools", "slug": "hand-tools", "parent": 11},
    {"id": 13, "name": "Hammers", "slug": "hammers", "parent": 12},
]
FACEBOOK = 'category_id,category\n1,Tools\n2,Tools > Hand tools\n3,"Tools > Hand tools > Hammers"\n'
AMAZON = """<?xml version="1.0"?><Result>
<Node><browseNodeId>10</browseNodeId><browseNodeName>Tools</browseNodeName><browsePathById>1,10</browsePathById>
<browsePathByName>Root,Tools</browsePathByName><hasChildren>true</hasChildren></Node>
<Node><browseNodeId>11</browseNodeId><browseNodeName>Hand tools</browseNodeName>
<browsePathById>1,10,11</browsePathById><browsePathByName>Root,Tools,Hand tools</browsePathByName></Node>
<Node><browseNodeId>12</browseNodeId><browseNodeName>Hammers, Mallets</browseNodeName>
<browsePathById>1,10,11,12</browsePathById>
<browsePathByName>Root,Tools,Hand tools,Hammers, Mallets</browsePathByName>
</Node></Result>"""
AMAZON_GUIDE = "Node ID,Node Path\n10,Tools\n11,Tools/Hand tools\n12,Tools/Hand tools/Hammers\n"
GOOGLE = (
    "# Google_Product_Taxonomy_Version\n1 - Tools\n2 - Tools > Hand tools\n3 - Tools > Hand tools > Hammers"
)
YANDEX = """<categories><category id="1">Tools</category><category id="2" parentId="1">Hand tools</category>
<category id="3" parentId="2">Hammers</category></categories>"""

TREES = {
    "google": ("a.txt", GOOGLE, "Google product taxonomy", "3", ABC),
    "shopify": ("a.txt", SHOPIFY, "Shopify product taxonomy", "ha-1-2", ABC),
    "facebook": ("a.txt", FACEBOOK, "Facebook product categories", "3", ABC),
    "amazon": ("a.xml", AMAZON, "Amazon browse tree", "12", (*AB, "Hammers, Mallets")),
    "amazon guide": ("a.csv", AMAZON_GUIDE, "Amazon browse tree", "12", ABC),
    "gpc xml": ("a.xml", GPC_XML, "GS1 GPC", "10003390", (*ABC, "Claw hammers")),
    "gpc json": ("a.json", json.dumps(GPC_JSON), "GS1 GPC", "10003390", (*ABC, "Claw hammers")),
    "unspsc": ("a.csv", UNSPSC, "UNSPSC", "27111602", (*ABC, "Claw hammers")),
    "unspsc codes": ("a.csv", UNSPSC_CODES, "UNSPSC", "27111602", (*ABC, "Claw hammers")),
    "hs": ("a.csv", HS, "customs tariff (HS, CN)", "820520", ABC),
    "cn": ("a.csv", CN, "customs tariff (HS, CN)", "8205 20 10", (*ABC, "Claw hammers")),
    "etim": ("a.csv", ETIM, "ETIM", "EC000011", ("Tools", "Hammers")),
    "etim xml": ("a.xml", ETIM_XML, "ETIM", "EC000011", ("Tools", "Hammers")),
    "eclass": ("a.csv", ECLASS, "eCl@ss", "21040301", (*ABC, "Claw hammers")),
    "akeneo": ("a.csv", AKENEO, "Akeneo categories", "hammers", ABC),
    "akeneo json": ("a.json", json.dumps(AKENEO_JSON), "Akeneo categories", "hammers", ABC),
    "magento": ("a.csv", MAGENTO, "Magento categories", "5", ABC),
    "magento json": ("a.json", json.dumps(MAGENTO_JSON), "Magento categories", "5", ABC),
    "woocommerce": ("a.csv", WOOCOMMERCE, "WooCommerce categories", "13", ABC),
    "woocommerce json": ("a.json", json.dumps(WOOCOMMERCE_JSON), "WooCommerce categories", "13", ABC),
    "yandex": ("a.xml", YANDEX, "categories with parents", "3", ABC),
}


def write(folder, name, text, encoding="utf-8", newline="\n"):
    file = folder / name
    file.write_bytes(text.replace("\n", newline).encode(encoding))
    return file


@pytest.mark.parametrize("variant", ["plain", "crlf with a byte-order mark", "utf-16"])
@pytest.mark.parametrize("name", TREES)
def test_a_kind_is_recognised_by_its_content(tmp_path, name, variant):
    file, text, kind, node_id, path = TREES[name]
    encoding = {"utf-16": "utf-16", "plain": "utf-8"}.get(variant, "utf-8-sig")
    found = read_tree_file(write(tmp_path, file, text, encoding, "\r\n" if "crlf" in variant else "\n"))
    assert (found.kind, found.problems) == (kind, ())
    node = found.taxonomy.find(node_id)
    assert node is not None
    assert found.taxonomy.nodes[node].path == path


@pytest.mark.parametrize("name", ["unspsc codes", "hs", "eclass", "akeneo", "magento", "woocommerce", "etim"])
def test_columns_come_in_any_order(tmp_path, name):
    _, text, kind, node_id, path = TREES[name]
    rows = [line.split(";" if ";" in text.split("\n")[0] else ",") for line in text.strip().split("\n")]
    if name == "woocommerce":
        rows = [
            ["13", "Hammers", "hammers", "12"],
            ["11", "Tools", "tools", "0"],
            ["12", "Hand tools", "hand-tools", "11"],
        ]
        rows = [["term_id", "name", "slug", "parent"], *rows]
    turned = "\n".join("\t".join(reversed(row)) for row in rows)
    found = read_tree_file(write(tmp_path, "a.tsv", turned))
    assert (found.kind, found.taxonomy.nodes[found.taxonomy.index(node_id)].path) == (kind, path)


def test_attributes_and_further_names_are_kept(tmp_path):
    gpc = read_tree_file(write(tmp_path, "gpc.xml", GPC_XML))
    assert gpc.attributes == {"10003390": ("Head material",)}
    etim = read_tree_file(write(tmp_path, "etim.xml", ETIM_XML))
    assert etim.names == {"EC000011": ("Mallets", "Hämmer")}
    akeneo = read_tree_file(write(tmp_path, "akeneo.csv", AKENEO))
    assert akeneo.taxonomy.nodes[0].name == "Tools"
    assert akeneo.names["hammers"] == ("Hämmer",)
    unspsc = read_tree_file(write(tmp_path, "unspsc.csv", UNSPSC))
    assert unspsc.names == {"27111601": ("mallets", "mauls")}
    shopify = {
        "version": "2099-01",
        "verticals": [{"name": "Tools", "prefix": "ha", "categories": [
            {"id": "gid://shopify/TaxonomyCategory/ha-1", "name": "Hammers", "full_name": "Tools > Hammers",
             "attributes": [{"id": "gid://shopify/TaxonomyAttribute/1", "name": "Material"}],
             "parent_id": "gid://shopify/TaxonomyCategory/ha", "children": []}]}],
    }  # fmt: skip
    found = read_tree_file(write(tmp_path, "shopify.json", json.dumps(shopify)))
    assert found.attributes == {"gid://shopify/TaxonomyCategory/ha-1": ("Material",)}
    assert found.taxonomy.nodes[found.taxonomy.index("ha-1")].path == ("Tools", "Hammers")


def test_languages_of_one_tree_are_joined_by_id(tmp_path):
    write(
        tmp_path, "taxonomy-with-ids.de-DE.txt", "1 - Werkzeug\n2 - Werkzeug > Hämmer\n9 - Werkzeug > Neu\n"
    )
    write(tmp_path, "taxonomy-with-ids.en-US.txt", "1 - Tools\n2 - Tools > Hammers\n3 - Tools > Saws\n")
    write(tmp_path, "taxonomy-with-ids.fr-FR.txt", "1 - Outils\n2 - Outils > Marteaux\n3 - Outils > Scies\n")
    found = read_tree_file(tmp_path)
    assert [(node.id, node.name) for node in found.taxonomy.nodes] == [
        ("1", "Tools"),
        ("2", "Hammers"),
        ("3", "Saws"),
    ]
    assert found.names == {"1": ("Werkzeug", "Outils"), "2": ("Hämmer", "Marteaux"), "3": ("Scies",)}


def test_a_workbook_is_read(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["UNSPSC codeset v99"])
    for line in UNSPSC_CODES.strip().split("\n"):
        code, title = line.split(",")
        book.active.append([int(code) if code.isdigit() else code, title])
    book.save(tmp_path / "unspsc.xlsx")
    found = read_tree_file(tmp_path / "unspsc.xlsx")
    assert found.kind == "UNSPSC"
    assert found.taxonomy.nodes[found.taxonomy.index("27111602")].path == (*ABC, "Claw hammers")


def test_check_digits_are_verified():
    assert gs1_digit("400638133393") == "1"  # an EAN
    assert luhn_digit("7992739871") == "3"  # Wikipedia's example
    assert mod11_digit("030640615") == "2"  # an ISBN-10


def test_a_wrong_check_digit_is_a_problem(tmp_path):
    codes = [f"8205{n:02}" for n in range(10, 32)]
    rows = [("82", "Tools"), ("8205", "Hand tools"), *((c + gs1_digit(c), f"Tool {c}") for c in codes)]
    wrong = rows[-1][0][:-1] + str((int(rows[-1][0][-1]) + 1) % 10)
    rows[-1] = (wrong, rows[-1][1])
    text = "code,title\n" + "\n".join(",".join(row) for row in rows)
    found = read_tree_file(write(tmp_path, "a.csv", text))
    assert [(p.message, p.value) for p in found.problems] == [("its check digit is wrong", wrong)]
    assert found.taxonomy.nodes[found.taxonomy.index(wrong)].path[:2] == ("Tools", "Hand tools")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.xml", "<products><product><title>Hammer</title></product></products>"),
        ("a.csv", "colour,size\nred,5\n"),
        ("a.json", "{}"),
    ],
)
def test_what_is_no_tree_is_refused(tmp_path, name, text):
    with pytest.raises(TaxonomyError) as error:
        read_tree_file(write(tmp_path, name, text))
    assert "\n" not in str(error.value)


def test_an_orphan_is_a_top_category_and_a_problem(tmp_path):
    found = read_tree_file(write(tmp_path, "a.csv", "id,name,parent_id\n1,Tools,\n2,Saws,1\n3,Hammers,7\n"))
    assert [p.value for p in found.problems] == ["7"]
    assert [node.path for node in found.taxonomy.nodes] == [("Tools",), ("Tools", "Saws"), ("Hammers",)]
