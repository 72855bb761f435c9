"""Errors of rules files: one sentence with the file, the line and the rule."""

import pytest
from tests.rules.shop import model, rules, written

from aisle.rules import RulesError

DENY = 'id = "a"\naction = "deny"\ncategory = "Home"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'id = "a"\naction = "deny"\ncategory = "Hme"',
            "category 'Hme' is not in the tree. Did you mean 'Home'?",
        ),
        ('id = "a"\naction = "deny"\ncategory = "lamps"', "Categories of this name: 'Home > Lamps'."),
        (DENY + 'when.titel = "x"', "no field 'titel' in the catalog. Did you mean 'title'?"),
        (DENY + 'reson = "x"', "reson: unknown key. Did you mean 'reason'?"),
        (DENY + 'when.title.contain = "x"', "when.title.contain: unknown key. Did you mean 'contains'?"),
        (DENY + "when.title.regex = '('", "regex '(' cannot be read"),
        (DENY + "when.title = []", "equals is empty"),
        (DENY + 'when.title.contains = "++"', "'++' contains no letter or digit"),
        (DENY + 'when.brand.equals_file = "nowhere.txt"', "there is no such file"),
        (DENY + "when.price = { min = 3, max = 1 }", "min 3 is above max 1"),
        (DENY + 'expires = "soon"', "expires:"),
        ('id = "a"\naction = "kill"', "'force', 'deny', 'restrict' or 'review'"),
        ('id = "a"\naction = "deny"', "deny needs a category"),
        ('id = "a"\naction = "force"\ncategory = "Home"', "force needs a condition"),
        (DENY + "[[rule]]\n" + DENY, "the id is that of another rule (line 3)"),
    ],
)
def test_an_error_names_the_file_the_line_and_the_rule(tmp_path, text, message):
    file = written(tmp_path, f"# comment\n\n[[rule]]\n{text}\n")
    with pytest.raises(RulesError) as caught:
        model().with_rules(file)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{file} line ")
    assert "rule 'a'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_rule_without_an_id_is_named_by_its_number():
    with pytest.raises(RulesError, match="line 2, rule 1: id: is missing"):
        rules("\n[[rule]]\naction = 'review'")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rules.toml", "[[rule]\n", "not TOML"),
        ("rules.toml", "# nothing yet\n", "there is no [[rule]] in it"),
        ("rules.toml", '[rule]\nid = "a"', "each rule begins with [[rule]]"),
        ("rules.toml", "versoin = 1", "unknown key. The keys are: rule, fields."),
        ("rules.json", '{"a": 1}', "not as `aisle rules set` saves earlier rules"),
    ],
)
def test_a_file_without_rules(tmp_path, name, text, message):
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(RulesError) as caught:
        model().with_rules(file)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_a_file_may_have_another_encoding(tmp_path, encoding):
    file = tmp_path / "rules.toml"
    file.write_bytes(f'[[rule]]\n{DENY}reason = "Möbel für die Küche"\n'.encode(encoding))
    assert model().with_rules(file).rules.rules[0].reason == "Möbel für die Küche"


def test_a_declared_field_may_be_named():
    text = DENY + 'when.seller = "x"'
    with pytest.raises(RulesError, match="no field 'seller'"):
        model().with_rules(rules(f"[[rule]]\n{text}"))
    ruled = model().with_rules(rules(f'fields = ["seller"]\n[[rule]]\n{text}'))
    assert ruled.predict({"title": "oak table", "seller": "X"}).rule == "a"
