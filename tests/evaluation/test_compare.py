"""Recipes compared on the same folds and seeds, as a user sees it."""

import html
import itertools
import json

import numpy as np
import pytest

import aisle
from aisle.data.splits import folds
from aisle.errors import CatalogError, RecipeError
from aisle.evaluation import compare as comparing
from aisle.evaluation.compare import compare, parse_variant
from aisle.evaluation.comparison import Comparison
from aisle.training.recipe import load_recipe
from tests.training.shop import catalog, recipe


def variants():
    parts = {"validation": 0, "calibration": 0, "threshold": 0}
    stages = [{"epochs": 8, "batch_size": 8, "lr": 0.02}]
    whole = load_recipe(recipe(split=parts, stages=stages))
    pictures = whole.without({"title"})
    dull = load_recipe(recipe(split=parts, stages=[{"epochs": 1, "batch_size": 64, "lr": 1e-6}]))
    return [comparing.Variant(*v) for v in [("both", whole), ("pictures", pictures), ("untrained", dull)]]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("compare")
    rows = catalog(45)
    return rows, out, compare(rows, variants(), folds=3, seeds=(0, 1), out=out)


def test_the_table_counts_what_each_answered_on_the_same_rows(done):
    rows, out, found = done
    assert [row.name for row in found.rows] == ["both", "pictures", "untrained"]
    assert (found.evaluated, found.folds, found.seeds) == (45, 3, (0, 1))
    truth, part = rows.targets().node, folds(rows, 3)
    cells = {file.name: json.loads(file.read_text()) for file in (out / "trainings").iterdir()}
    assert len(cells) == 3 * 2 * 3
    for row in found.rows:
        each = []
        for seed in (0, 1):
            for k in range(3):
                (cell,) = [c for name, c in cells.items() if name.startswith(f"{row.name}-{seed}-{k}-")]
                each.append(np.mean(np.array(cell["answers"]) == truth[part == k]))
        assert row.accuracy == pytest.approx(np.mean(each), abs=0.02)  # folds of nearly one size
        assert row.deviation == pytest.approx(np.std(each, ddof=1))
        assert row.parameters > 0
        assert row.memory > 50
        assert 0 < row.seconds < 100
    both, _, untrained = found.rows
    assert both.accuracy > 0.8
    assert both.gain is None
    assert untrained.gain.value == pytest.approx(untrained.accuracy - both.accuracy)
    assert untrained.gain.high < 0  # worse, and that is sure
    assert both.parameters > found.rows[1].parameters
    ranked = sorted(found.rows, key=lambda row: -row.accuracy)
    names = [(a.name, b.name) for a, b in itertools.combinations(ranked, 2)]
    assert [(pair.better, pair.worse) for pair in found.differences] == names
    pair = next(p for p in found.differences if {p.better, p.worse} == {"both", "untrained"})
    assert pair.accuracy.value == pytest.approx(both.accuracy - untrained.accuracy)
    assert pair in found.significant


def test_it_goes_on_where_it_stood(done):
    rows, out, found = done
    kept = {file.name: (file.stat().st_mtime_ns, file.stat().st_ino) for file in trainings(out)}
    again = compare(rows, variants(), folds=3, seeds=(0, 1), out=out)
    assert again == found
    here = {file.name: (file.stat().st_mtime_ns, file.stat().st_ino) for file in trainings(out)}
    assert here == kept  # no training wrote its outcome again
    few = rows.select(np.arange(40))  # other rows are another comparison
    compare(few, variants()[2:], folds=3, seeds=(0,), out=out)
    assert len(set(trainings(out)) - {out / "trainings" / name for name in kept}) == 3


def trainings(out):
    """The files in which a comparison keeps the outcome of each training."""
    return list((out / "trainings").iterdir())


def test_markdown_page_and_json_say_the_same(done, tmp_path):
    *_, found = done
    page = found.write(tmp_path / "table")
    text = (tmp_path / "table" / "compare.md").read_text()
    assert text.count("\n| ") == 4
    head, _, *lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    head = [cell.strip() for cell in head]
    for row, line in zip(found.rows, lines, strict=True):
        cells = dict(zip(head, map(str.strip, line), strict=True))
        assert cells["recipe"] == row.name
        assert cells["accuracy"] == f"{row.accuracy:.3f} ± {row.deviation:.3f}"
        assert cells["macro-F1"] == f"{row.metrics['macro_f1']:.3f}"
        assert f"{100 * row.accuracy:.1f}\N{NO-BREAK SPACE}%" in page.read_text()
    assert json.loads((tmp_path / "table" / "compare.json").read_text())["evaluated"] == 45
    assert "http" not in page.read_text().replace("http-equiv", "")


def row(name, accuracy, gain=None):
    limits = None if gain is None else {"value": gain[0], "low": gain[1], "high": gain[2]}
    same = dict.fromkeys(("seconds", "per_second", "memory"), 1.0) | {"parameters": 1, "deviation": None}
    matched = {"accuracy": accuracy, "metrics": {"macro_f1": accuracy}, "levels": (0.875, 0.625, 0.5)}
    return {"name": name, "gain": limits, "gain_f1": limits} | matched | same


def pair(better, worse, value, low, high):
    return {"better": better, "worse": worse, "accuracy": {"value": value, "low": low, "high": high}}


@pytest.mark.parametrize(
    ("pairs", "verdict", "winner"),
    [
        ([pair("wide", "fast", 0.083, -0.01, 0.17)], "No recipe is more accurate than another", None),
        (
            [pair("wide", "fast", 0.08, 0.02, 0.14)],
            "wide is more accurate than fast by +0.080 (+0.020 to +0.140)",
            "wide",
        ),
        (
            [
                pair("wide", "fast", 0.08, -0.01, 0.14),
                pair("wide", "dull", 0.3, 0.2, 0.4),
                pair("fast", "dull", 0.22, 0.1, 0.3),
            ],
            "wide is more accurate than dull by +0.300 (+0.200 to +0.400); "
            "fast is more accurate than dull by +0.220 (+0.100 to +0.300)",
            None,
        ),
        (
            [
                pair("wide", "fast", 0.08, 0.01, 0.14),
                pair("wide", "dull", 0.3, 0.2, 0.4),
                pair("fast", "dull", 0.22, -0.1, 0.3),
            ],
            "wide is more accurate than fast by +0.080 (+0.010 to +0.140) and dull by +0.300",
            "wide",
        ),
    ],
)
def test_the_verdict_names_every_pair_whose_interval_excludes_zero(pairs, verdict, winner):
    source = {"source": "shop.parquet", "evaluated": 40, "folds": 5, "seeds": (0,), "levels": 3}
    names = dict.fromkeys(name for p in reversed(pairs) for name in (p["worse"], p["better"]))
    rows = [row(name, {"wide": 0.78, "fast": 0.70, "dull": 0.48}[name]) for name in names]
    found = Comparison.model_validate({**source, "rows": rows, "differences": pairs})
    text, page = found.markdown(), found.html()
    assert verdict in text
    assert verdict in html.unescape(page)
    assert "40 products of shop.parquet" in text
    assert "| level 1 | level 2 | level 3 |" in text
    assert "| 0.875 | 0.625 | 0.500 |" in text
    assert (found.winner and found.winner.name) == winner
    head = page[page.index("<h1>") : page.index("</h1>")]
    assert (f"with {winner}" in head) == (winner is not None)
    assert ('class="best"' in page) == (winner is not None)


@pytest.mark.parametrize(
    ("text", "name", "path", "value"),
    [
        ("x: attention fusion={type='ConcatFusion',dim=128}", "x", ("fusion", "type"), "ConcatFusion"),
        ('x: attention fusion={type = "ConcatFusion", dim = 128}', "x", ("fusion", "options"), {"dim": 128}),
        ('fast description="it\'s: new"', 'fast description="it\'s: new"', ("description",), "it's: new"),
        ("Bob's: fast seed=3", "Bob's", ("seed",), 3),
        ("dim=128: fast 'seed=4'", "dim=128", ("seed",), 4),
        ('fast description="two words" seed=5', 'fast description="two words" seed=5', ("seed",), 5),
    ],
)
def test_a_variants_quotes_and_tables_are_read_as_toml(text, name, path, value):
    found = parse_variant(text)
    assert found.name == name
    at = found.recipe
    for key in path:
        at = getattr(at, key)
    assert at == value


def test_a_variant_without_a_recipe_or_a_closing_bracket_is_one_line():
    for text, why in (
        ("name: ", "names no recipe"),
        ("fast fusion={type='ConcatFusion'", "No closing bracket"),
    ):
        with pytest.raises(RecipeError, match=why):
            parse_variant(text)


def test_rows_marked_test_are_judged_once():
    rows = [
        {"id": str(i), "title": f"{w} thing {i}", "category": w, "split": "test" if i % 4 == 0 else "train"}
        for i, w in enumerate(["boot", "lamp", "plant"] * 16)
    ]
    whole = aisle.read(rows)
    plain = load_recipe(
        recipe(
            views={"title": {"encoder": {"type": "TfidfEncoder", "dim": 16, "min_df": 1}}},
            split={"validation": 0, "calibration": 0, "threshold": 0},
        )
    )
    found = compare(
        whole.select(whole.split == "train"),
        [comparing.Variant("words", plain)],
        test=whole.select(whole.split == "test"),
    )
    assert (found.evaluated, found.folds) == (12, 0)
    assert found.rows[0].deviation is None
    assert found.rows[0].accuracy == 1


def test_variants_have_a_recipe_changes_and_a_name():
    name, made = parse_variant(
        "text only: fast views.image=false 'views.text.fields=[\"title\"]'", ["seed=3"]
    )
    assert name == "text only"
    assert (set(made.views), made.seed, made.views["text"].fields) == (
        {"text", "title", "attributes"},
        3,
        ["title"],
    )
    assert parse_variant("fast seed=1").name == "fast seed=1"
    with pytest.raises(RecipeError, match=r"No closing quotation; write NAME: RECIPE KEY=VALUE"):
        parse_variant("fast 'seed=1")


def test_what_cannot_be_compared_is_one_line():
    one = variants()[0]
    with pytest.raises(RecipeError, match="two variants are called 'both'"):
        compare(catalog(10), [one, one])
    with pytest.raises(CatalogError, match="at least 2 folds, not 1"):
        compare(catalog(10), [one], folds=1)
    with pytest.raises(CatalogError, match="too few for 9 folds"):
        compare(catalog(5), [one], folds=9)
    with pytest.raises(CatalogError, match="no row has a usable category"):
        compare(aisle.read([{"id": "1", "title": "boot"}]), [one])
