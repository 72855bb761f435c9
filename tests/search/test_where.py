"""The filter language: what it means, how it says what is wrong, and that nothing slips through it."""

import pytest

from aisle.errors import SearchError
from aisle.search.filters import FilterColumn, parse
from tests.search.filtering import COLUMNS, kept

CASES = {
    "category under 'Apparel'": "abcd",
    "category under 'apparel > SHOES'": "ab",
    "category under 'Boots'": "a",
    "category = 'Apparel > Shirts'": "cd",
    "category under 'Apparel' and price < 50": "bc",
    "price >= 20 and price <= 80": "abd",
    "price = 20": "b",
    "price != 20": "acd",
    "colour = 'RED'": "ac",
    'colour in ("red", "blue")': "abc",
    "colour not in ('red')": "b",
    "colour is missing": "de",
    "colour is not missing and not colour = 'red'": "b",
    "not (price < 50 or colour = 'blue')": "a",
    "price < 15 or price > 75": "acd",
    'title contains "o\'neill"': "a",
    "title contains '100%_'": "b",
    "'title' contains 'o' and id in ('a', 'c')": "a",
    "category is missing": "e",
    "not category under 'Apparel'": "e",
    "  ": "abcde",
}


@pytest.mark.parametrize("where", CASES)
def test_a_filter_keeps_what_it_says(where, store):
    assert kept(store, where) == CASES[where]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("prise < 50", "Did you mean 'price'"),
        ("price <", "a value"),
        ("price < 'cheap'", "holds numbers"),
        ("price contains 5", "holds numbers"),
        ("colour under 'red'", "nothing is under colour"),
        ("category < 'Shoes'", "has no order"),
        ("colour = red", "into quotes"),
        ("colour = 'red", "quote that does not close"),
        ("(price < 5", "')'"),
        ("price < 5 colour = 'red'", "`and`, `or`"),
        ("and price < 5", "a field's name"),
        ("price < 5; drop table rows", "not understood"),
        ("colour = 'x' or 1=1", "no field '1'"),
        ("not " * 80 + "price < 5", "brackets"),
        ("category under 'Aparel'", "Did you mean 'apparel'"),
    ],
)
def test_what_is_wrong_is_said(where, said, store):
    with pytest.raises(SearchError, match=r"--where: .*" + said.replace("(", r"\(").replace(")", r"\)")):
        kept(store, where)


def test_quotes_and_signs_of_other_languages_are_only_letters(store):
    for text in ("x'' or ''1''=''1", "%", "_", "\\", "'; DROP TABLE rows; --", "\x00", "ö"):
        quoted = text.replace("'", "''")
        assert kept(store, f"colour = '{quoted}'") == ""
        assert kept(store, f"title contains '{quoted}' and id = 'zzz'") == ""


def test_a_field_may_be_called_as_an_operator_when_quoted():
    columns = COLUMNS | {"in": FilterColumn("f9", "text"), "net price": FilterColumn("f8", "number")}
    assert parse("'in' = 'stock' and 'net price' < 3", columns)
