"""JSON: the list of records is found in arrays, API answers and pages; documents are read as a stream."""

import json

import pytest

from aisle.data import read
from aisle.data.chunks import ChunkReader
from tests.data.catalogs import check_refused, raw

AB = [{"id": 1, "title": "a"}, {"id": 2, "title": "b"}]
TEXT = [{"id": "1", "title": "a"}, {"id": "2", "title": "b"}]


def written(tmp_path, data, name="x.json"):
    (tmp_path / name).write_text(data if isinstance(data, str) else json.dumps(data))
    return tmp_path / name


def of(tmp_path, data, name="x.json"):
    return read(written(tmp_path, data, name))


@pytest.mark.parametrize(
    "document",
    [
        AB,
        {"products": AB, "page": 1, "links": {"next": None}},
        {"meta": {"filters": [{"name": "x", "value": 1}] * 9}, "data": {"items": AB}, "total": 2},
        {"title": "My shop", "products": AB},
        {"status": "ok", "result": {"count": 2, "rows": AB}},
        {"artikelliste": AB, "stand": "2024"},
        {"data": {"products": {"edges": [{"cursor": "c", "node": item} for item in AB]}}},
        {"1": {"title": "a"} | {"id": 1}, "2": {"title": "b"} | {"id": 2}},
        {"hits": {"total": 2, "hits": [{"_index": "p", "_source": item} for item in AB]}},
        [{"node": item} for item in AB],
        {"@type": "ItemList", "itemListElement": [{"position": 1, "item": item} for item in AB]},
        [{"id": {"$numberLong": str(item["id"])}, "title": item["title"]} for item in AB],
    ],
)
def test_the_list_of_records_is_found(tmp_path, document):
    found = raw(of(tmp_path, document))
    assert [{key: row[key] for key in ("id", "title")} for row in found] == TEXT


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.json", "\n".join(map(json.dumps, AB))),
        ("x.json", "\n".join(json.dumps(item, indent=1) for item in AB)),
        ("x.json", json.dumps(AB)[:-1] + ",\n]\n"),
        ("x.json", "\ufeff" + json.dumps(AB, indent=1)),
        ("x.jsonl", json.dumps(AB, indent=1)),
        ("x.jsonl", "\n".join(json.dumps({"products": [item], "page": 1}) for item in AB)),
        ("x.jsonl", "\n".join(json.dumps([item]) for item in AB)),
        ("x.json", "\n\n" + json.dumps({"products": AB[:1]}) + "\n" + json.dumps({"products": AB[1:]})),
    ],
)
def test_lines_pages_and_documents_are_told_apart(tmp_path, name, text):
    catalog = of(tmp_path, text, name)
    assert raw(catalog) == TEXT
    (chunk,) = ChunkReader([tmp_path / name])
    assert raw(chunk.catalog()) == TEXT


def test_a_record_with_lists_of_its_own_stays_one_record(tmp_path):
    record = {"id": 1, "title": "a", "variants": [{"size": "S", "stock": 1}], "items": [{"x": 1, "y": 2}]}
    for document, name in ((record, "x.json"), ({"product": record}, "y.json"), (record, "z.jsonl")):
        (row,) = raw(of(tmp_path, document, name))
        assert (row["id"], row["variants"]) == ("1", '[{"size": "S", "stock": 1}]')


def test_nested_values_of_shop_apis_become_text(tmp_path):
    woo = {
        "id": 7,
        "name": "Tee",
        "price": 5.0,
        "categories": [{"id": 9, "name": "Clothing", "slug": "c"}, {"id": 14, "name": "Tees", "slug": "t"}],
        "images": [
            {"id": 1, "src": "1.jpg", "name": "", "alt": ""},
            {"id": 2, "src": "2.jpg", "name": "back"},
        ],
        "attributes": [{"id": 6, "name": "Color", "visible": True, "options": ["Black", "Green"]}],
        "tags": [],
    }
    (row,) = raw(of(tmp_path, [woo]))
    assert row == {
        **{"id": "7", "name": "Tee", "price": "5", "categories": '["Clothing", "Tees"]'},
        **{"images": '["1.jpg", "2.jpg"]', "attributes": '{"Color": "Black, Green"}', "tags": "[]"},
    }
    shopify = {
        "id": "gid://shopify/Product/1",
        "title": "Tee",
        "category": {"id": "gid://3", "name": "Shirts", "fullName": "Apparel > Shirts"},
        "images": {"edges": [{"node": {"src": "1.jpg", "altText": None}}]},
        "options": [{"name": "Size", "values": ["S", "M"]}],
    }
    catalog = of(tmp_path, {"data": {"products": {"nodes": [shopify], "pageInfo": {}}}}, "s.json")
    assert raw(catalog)[0]["options"] == '{"Size": "S, M"}'
    assert catalog[0].categories == (("Apparel", "Shirts"),)
    assert catalog.image_names(0) == ["1.jpg"]
    parents = {
        "id": 3,
        "name": "Boots",
        "parent": {"id": 2, "name": "Shoes", "parent": {"id": 1, "name": "All"}},
    }
    nested = of(tmp_path, [{"id": 1, "title": "a", "category": parents}], "p.json")
    assert nested[0].categories == (("All", "Shoes", "Boots"),)
    term = {
        "id": 5,
        "name": "Others",
        "slug": "others",
        "image": "https://shop.example/c.jpg",
        "creationAt": "x",
    }
    image = {"id": 1, "name": "front", "url": "https://shop.example/1.jpg"}
    other = of(tmp_path, [{"id": 1, "title": "a", "category": term, "image": image}], "o.json")
    assert other[0].categories == (("Others",),)
    assert other.image_names(0) == ["https://shop.example/1.jpg"]
    wordpress = of(tmp_path, [{"id": 1, "title": {"rendered": "Boot"}}], "w.json")
    assert raw(wordpress) == [{"id": "1", "title": "Boot"}]


def test_attributes_by_code_become_columns(tmp_path):
    magento = {
        "sku": "s",
        "name": "Bag",
        "custom_attributes": [
            {"attribute_code": "description", "value": "big"},
            {"attribute_code": "category_ids", "value": ["3", "4"]},
        ],
    }
    (row,) = raw(of(tmp_path, {"items": [magento], "search_criteria": {}, "total_count": 1}))
    assert row == {"description": "big", "category_ids": "3,4", "sku": "s", "name": "Bag"}
    values = {
        "name": [{"locale": "en_US", "scope": None, "data": "Bag"}],
        "text": [{"locale": "de_DE", "scope": "web", "data": "Tasche"}],
    }
    akeneo = {"_embedded": {"items": [{"identifier": "s", "categories": ["a", "b"], "values": values}]}}
    (row,) = raw(of(tmp_path, akeneo, "akeneo.json"))
    assert row == {"identifier": "s", "categories": "a,b", "name-en_US": "Bag", "text-de_DE-web": "Tasche"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"id":1,"title":"a"},{"id":2,"tit', "the JSON ends in its middle"),
        ('{"products":[{"id":1,"title":"a"},{"id":2,"title":"b"}', "the JSON ends in its middle"),
        (json.dumps({"products": AB, "page": 1})[:-1], "the JSON ends in its middle"),
        ('[{"id":1,"title":"a"},\n{"id":2 "title":"b"}]', "not JSON: expected , or }, line 2 column 9"),
        ("hello", "not JSON: it begins with 'hello'"),
        ("", "the file is empty"),
        ("[" * 5000, "nested too deep"),
    ],
)
def test_a_broken_document_is_refused_in_one_line(tmp_path, text, message):
    check_refused(written(tmp_path, text), message)


def test_a_long_document_is_read_in_pieces(tmp_path):
    rows = [{"id": i, "title": "x" * (300_000 if i == 700 else 200), "price": i / 10} for i in range(12_000)]
    catalog = of(tmp_path, {"before": ["y"] * 1000, "products": rows, "after": {"deep": [[1, [2]]]}})
    assert len(catalog) == 12_000
    assert len(catalog.raw(700)["title"]) == 300_000
    assert catalog.raw(11_999) == {"id": "11999", "title": "x" * 200, "price": "1199.9"}


def test_values_that_only_python_writes_are_read(tmp_path):
    catalog = of(tmp_path, '[{"id": 1, "title": "a\nb", "price": NaN}, {"id": 2, "title": "\\ud83d"}]')
    assert catalog.raw(0) == {"id": "1", "title": "a\nb", "price": None}
    assert catalog.problems[0].row == 2


def test_a_list_of_numbers_is_several_categories_by_their_ids(tmp_path):
    path = tmp_path / "products.json"
    path.write_text(
        '[{"id": 1, "name": "Tee", "categories": [23, 21]}, {"id": 2, "name": "Cap", "categories": [21]}]'
    )
    assert [product.categories for product in read(path)] == [(("23",), ("21",)), (("21",),)]
