"""Which fields filters take as numbers: those whose every value is a plain number. Codes stay text."""

import pytest

from aisle import search
from aisle.data import Product, read
from aisle.errors import SearchError
from aisle.search.rows import filter_columns

CODES = {
    "letters": ["AB12", "CD12"],
    "comma": ["0,125", "125"],
    "zeros": ["007", "7"],
    "currency": ["£5", "6"],
    "exponent": ["1E5", "100000"],
    "long": ["12345678901234567", "12345678901234568"],
    "one of many": ["12"] * 9999 + ["12X"],
    "unit": ["12 kg", "13"],
    "plus": ["+49", "50"],
    "size": ["38-40", "38"],
}
NUMBERS = {
    "whole": ["12", "-3", ""],
    "decimal": ["0.5", "12.50", " 7 "],
    "blank": ["5", "  "],
}


@pytest.mark.parametrize("name", [*CODES, *NUMBERS])
def test_a_field_is_numeric_only_if_every_value_is_a_plain_number(name):
    values = CODES.get(name) or NUMBERS[name]
    catalog = read([{"title": "t", "code": value} for value in values])
    assert filter_columns(catalog)["code"].kind == ("number" if name in NUMBERS else "text")


def test_codes_are_found_as_they_are_written(trained, tmp_path):
    goods = [("a", "AB12", "007", "5"), ("b", "CD12", "7", "12.5"), ("c", "ab12", "0,125", "125")]
    rows = [{"id": i, "title": f"thing {i}", "sku": s, "code": c, "price": p} for i, s, c, p in goods]
    index = search.build(trained.model, read(rows), tmp_path / "index", run=trained.run)

    def ids(where):
        (found,) = index.search([Product("?", {"title": "thing"})], 9, where)
        return "".join(sorted(hit.id for hit in found))

    assert ids("sku = 'AB12'") == "ac"
    assert ids("code = '007'") == "a"
    assert ids("code = 7") == "b"
    assert ids("code = '0,125'") == "c"
    assert ids("price < 100 and price > 4") == "ab"
    with pytest.raises(SearchError, match="code holds text"):
        ids("code < 100")
    said = []
    index.add(read([{"id": "d", "title": "thing d", "price": "£9"}]), progress=Listening(said))
    assert ids("price is missing") == "d"
    assert "price holds numbers in this index, and 1 values are no plain numbers" in said[0]


class Listening:
    """Progress that keeps what is said."""

    def __init__(self, said):
        self.said = said

    def __call__(self, *_):
        from contextlib import nullcontext

        return nullcontext(lambda n: None)

    def say(self, message):
        self.said.append(message)
