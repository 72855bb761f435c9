"""`aisle rules`, `aisle classify --rules`, and rules that a model is saved with."""

import csv
import json

import pytest
from tests.rules.shop import model, rules, written

import aisle
from aisle.inference.bundle import set_rules

RULES = """
[[rule]]
id = "lamp"
action = "force"
category = "Home > Lamps"
when.title.contains = "sock"
priority = 1

[[rule]]
id = "table"
action = "force"
category = "Home > Tables"
when.title.contains = ["wool sock", "table"]

[[rule]]
id = "late"
action = "review"
when.title.contains = "sock"

[[rule]]
id = "known"
action = "deny"
category = "Clothing"
when.title.contains = "desk"

[[rule]]
id = "old"
action = "deny"
category = "Home"
expires = 2020-01-01
when.title.contains = "lamp"

[[rule]]
id = "nothing"
action = "review"
when.title.contains = "sofa"
"""
CATALOG = """id,title,category
1,red wool sock,Clothing > Socks
2,red cotton sock,Home > Lamps
3,oak table,Home > Tables
4,desk lamp,
5,red running shoe,Clothing > Shoes
"""


@pytest.fixture
def catalog(tmp_path):
    file = tmp_path / "catalog.csv"
    file.write_text(CATALOG)
    return file


@pytest.fixture
def run(tmp_path):
    model().save(tmp_path / "run")
    return tmp_path / "run"


def rows_of(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_rules_are_tested_on_a_catalog(typed, tmp_path, catalog, run):
    code, shown, _ = typed("rules", "test", written(tmp_path, RULES), run, catalog, "--json")
    found = json.loads(shown)
    assert code == 0
    assert (found["products"], found["touched"], found["decided_by_rules"]) == (5, 4, 4)
    by_id = {one["id"]: one for one in found["rules"]}
    lamp, table, late = by_id["lamp"], by_id["table"], by_id["late"]
    assert (lamp["touched"], lamp["acted"], lamp["changed"]) == (2, 2, 2)
    assert (lamp["labelled"], lamp["right"], lamp["agreed"]) == (2, 1, 0)
    assert lamp["findings"] == ["contradicts labels"]
    assert lamp["wrong"] == [{"id": "1", "title": "red wool sock", "label": "Clothing > Socks"}]
    assert (table["touched"], table["acted"], table["labelled"], table["right"]) == (2, 1, 2, 1)
    assert (late["touched"], late["acted"], late["findings"]) == (2, 0, ["shadowed"])
    assert late["shadowed_by"] == ["lamp"]
    assert "does nothing" in by_id["known"]["findings"]
    assert by_id["old"]["findings"] == ["expired"]
    assert by_id["nothing"]["findings"] == ["touches nothing"]
    assert found["conflicts"] == [{"wins": "lamp", "loses": "table", "products": 1, "examples": ["1"]}]


def test_the_test_reads_as_a_table(typed, tmp_path, catalog, run):
    code, shown, _ = typed("rules", "test", written(tmp_path, RULES), run, catalog, "-q")
    assert code == 0
    assert "5 products; rules touch 4 and decide 4 of them" in shown
    assert "lamp and table contradict each other on 1 products (1); lamp acts" in shown
    assert "late never acts: lamp acts first" in shown
    assert "contradicts labels: lamp, table" in shown
    assert "expired: old" in shown
    assert max(map(len, shown.splitlines()[1:8])) <= 80


def test_classify_follows_a_file_and_counts_its_products_apart(typed, tmp_path, catalog, run):
    file, out = written(tmp_path, RULES), tmp_path / "p.csv"
    code, shown, _ = typed("classify", run, catalog, "--rules", file, "--out", out, "-q")
    assert code == 0
    assert "4 of them decided" in shown
    assert {key: row["rule"] for key, row in rows_of(out).items()} == {
        "1": "lamp",
        "2": "lamp",
        "3": "table",
        "4": "known",
        "5": "",
    }
    assert rows_of(out)["1"]["reason"] == "rule lamp: decides"


def test_a_folder_of_shards_has_the_same_rules(typed, tmp_path, catalog, run):
    file = written(tmp_path, RULES)
    code, shown, _ = typed(
        "classify", run, catalog, "--rules", file, "--out", f"{tmp_path}/shards/", "--json"
    )
    assert code == 0
    assert sum(json.loads(shown)["by_rules"].values()) == 4
    lines = (tmp_path / "shards" / "part-00000.jsonl").read_text().splitlines()
    assert [json.loads(line)["rule"] for line in lines] == ["lamp", "lamp", "table", "known", ""]


def test_the_cache_of_equal_listings_reads_what_rules_read(typed, tmp_path, run):
    file = written(tmp_path, '[[rule]]\nid = "one"\naction = "review"\nwhen.id = "b"\n')
    catalog, out = tmp_path / "c.csv", tmp_path / "p.csv"
    catalog.write_text("id,title\na,wool sock\nb,wool sock\nc,wool sock\n")
    assert typed("classify", run, catalog, "--rules", file, "--out", out, "-q")[0] == 0
    assert [row["rule"] for row in rows_of(out).values()] == ["", "one", ""]


def test_rules_of_a_file_of_products(typed, tmp_path, run):
    file = written(tmp_path, '[[rule]]\nid = "feed"\naction = "review"\nsource = "Acme-*.csv"\n')
    for name in ("acme-1", "other"):
        (tmp_path / f"{name}.csv").write_text(f"id,title\n{name},wool sock\n")
    files = [tmp_path / "acme-1.csv", tmp_path / "other.csv"]
    for out in (tmp_path / "p.csv", tmp_path / "shards"):
        options = ("--rules", file, "--out", out, "--shard-format", "csv", "-q")
        assert typed("classify", run, *files, *options)[0] == 0
        table = out if out.suffix else out / "part-00000.csv"
        assert {key: row["rule"] for key, row in rows_of(table).items()} == {"acme-1": "feed", "other": ""}


def test_a_run_remembers_its_rules(typed, tmp_path, catalog, run):
    before = aisle.load(run)
    assert typed("rules", "set", run, written(tmp_path, RULES))[0] == 0
    after = aisle.load(run)
    assert after.model_id == before.model_id
    assert after.predict("wool sock").rule == "lamp"
    assert "[[rule]]" in typed("rules", "show", run)[1]
    out = tmp_path / "p.csv"
    assert typed("classify", run, catalog, "--out", out, "-q")[0] == 0
    assert rows_of(out)["1"]["rule"] == "lamp"
    assert typed("classify", run, catalog, "--out", out, "--rules", "none", "-q")[0] == 0
    assert rows_of(out)["1"]["rule"] == ""
    saved = after.save(tmp_path / "copy")
    assert aisle.load(tmp_path / "copy").predict("wool sock").rule == "lamp"
    assert saved.model_id == before.model_id


def test_earlier_rules_are_kept_and_can_be_set_again(typed, tmp_path, run):
    typed("rules", "set", run, written(tmp_path, RULES))
    typed("rules", "set", run, "none")
    assert aisle.load(run).rules is None
    code, _, shown = typed("rules", "show", run)
    assert code == 2
    assert "has no rules" in shown
    assert typed("rules", "set", run, tmp_path / "run.rules-1.json")[0] == 0
    assert aisle.load(run).predict("wool sock").rule == "lamp"


def test_lists_are_saved_with_the_rules(tmp_path, run):
    text = '[[rule]]\nid = "a"\naction = "review"\nwhen.title.contains_file = "words.txt"'
    set_rules(run, model().with_rules(rules(text, words="sock\nshoe")).rules)
    assert aisle.load(run).predict("wool sock").rule == "a"


def test_a_bad_file_is_one_line(typed, tmp_path, catalog, run):
    file = written(tmp_path, '[[rule]]\nid = "a"\naction = "deny"\ncategory = "Hom"\n')
    code, _, shown = typed("classify", run, catalog, "--rules", file)
    assert code == 2
    assert "line 1, rule 'a': category 'Hom' is not in the tree. Did you mean 'Home'?" in " ".join(
        shown.split()
    )
