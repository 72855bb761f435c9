"""Products that rules decide are no part of the guarantee: evaluation, calibration, drift, model card."""

import csv
import json

import pytest
from tests.rules.shop import ROWS, model, rules

import aisle
from aisle.evaluation import evaluate
from aisle.evaluation.drift import drift, profile
from aisle.guarantee import Settings
from aisle.inference.bundle import set_rules
from aisle.inference.recalibrate import recalibrate

# Of 8 products, 2 are decided as lamps (wrongly), 1 as a table (rightly), 1 is left for review.
RULES = """
[[rule]]
id = "lamp"
action = "force"
category = "Home > Lamps"
when.title.contains = "sock"

[[rule]]
id = "table"
action = "force"
category = "Home > Tables"
when.title.contains = "oak"

[[rule]]
id = "look"
action = "review"
when.title.contains = "glass"
"""
SHADES = ("navy", "ivory", "violet", "orange", "cyan")  # none was trained on


def catalog(rows=ROWS):
    return aisle.read(
        [
            {"id": f"{shade}-{n}", "title": f"{shade} {title}", "brand": "Nike", "price": "10", "tags": "a"}
            | {"category": category}
            for shade in SHADES
            for n, (title, category) in enumerate(rows)
        ]
    )


def ruled():
    return model().with_rules(rules(RULES))


def untouched():
    """The rows on which no rule acts."""
    return catalog([row for row in ROWS if not {"sock", "oak", "glass"} & set(row[0].split())])


@pytest.fixture(scope="module")
def found():
    return evaluate(ruled(), catalog(), per_view=False)


def test_an_evaluation_counts_what_rules_decide_apart(found):
    assert found.rows.evaluated == 40
    by_rules = found.decisions.by_rules
    assert (by_rules.decided.count, by_rules.decided.coverage) == (15, 15 / 40)
    assert by_rules.decided.precision.value == pytest.approx(1 / 3)
    assert by_rules.decided.guaranteed is None
    assert by_rules.review.count == 5
    own = evaluate(model(), untouched(), per_view=False)
    for kind in ("accept", "partial", "placed", "review"):
        assert getattr(found.decisions, kind).count == getattr(own.decisions, kind).count
    assert found.decisions.placed.count + found.decisions.review.count == 20
    assert found.decisions.accept.precision == own.decisions.accept.precision
    assert found.guarantee == own.guarantee
    assert found.operating_curve == own.operating_curve
    assert own.decisions.by_rules is None


def test_accuracy_is_the_models_own(found):
    assert found.model.overall == evaluate(model(), catalog(), per_view=False).model.overall


def test_the_page_and_the_notebook_show_them_apart(found, tmp_path):
    page = found.write(tmp_path).read_text()
    assert "decided by rules" in page
    assert 'value="15" data-key="decisions.by_rules.decided.count"' in page
    assert 'value="5" data-key="decisions.by_rules.review.count"' in page
    assert "rules decide 37.5%, 33.3% of these are right" in found._repr_html_()
    without = evaluate(model(), untouched(), per_view=False)
    assert "decided by rules" not in without.write(tmp_path).read_text()


def test_a_guarantee_is_fitted_as_if_products_with_rules_were_not_there():
    settings = Settings(0.8, 0.1)
    with_rules = recalibrate(ruled(), catalog(), settings)
    without = recalibrate(model(), untouched(), settings)
    assert with_rules.ruled == 20
    assert (with_rules.calibration, with_rules.thresholds) == (without.calibration, without.thresholds)
    assert with_rules.predictor.policy.to_json() == without.predictor.policy.to_json()


def test_drift_compares_the_models_own_predictions_and_names_what_rules_decide():
    before = profile(model(), catalog())
    own, with_rules = (drift(one, catalog(), before) for one in (model(), ruled()))
    status = with_rules.guarantee
    assert (status.accepted, status.partial) == (own.guarantee.accepted, own.guarantee.partial)
    assert with_rules.aspects == own.aspects
    assert status.by_rules.decided.count == 15
    assert status.by_rules.decided.precision.value == pytest.approx(1 / 3)
    assert own.guarantee.by_rules is None
    assert with_rules.operating_curve == evaluate(model(), untouched(), per_view=False).operating_curve


def test_drift_of_a_file_without_labels_still_counts_them():
    before = profile(model(), catalog())
    unlabelled = aisle.read([{"id": p.id, **p.fields} for p in catalog()])
    by_rules = drift(ruled(), unlabelled, before).guarantee.by_rules
    assert (by_rules.decided.count, by_rules.decided.precision, by_rules.review.count) == (15, None, 5)


def test_the_commands_say_so(typed, tmp_path):
    run, file = tmp_path / "run", tmp_path / "test.csv"
    ruled().save(run / "model")
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("id", "title", "brand", "price", "tags", "category"))
        writer.writerows([p.id, *p.fields.values(), " > ".join(p.categories[0])] for p in catalog())
    code, shown, _ = typed("evaluate", run, file, "-q")
    assert code == 0
    apart = "decided by rules: 15 (37.5 % of products), 33.3 % correct; 5 left for review"
    assert apart in " ".join(shown.split())
    assert (
        json.loads(typed("evaluate", run, file, "--json")[1])["decisions"]["by_rules"]["decided"]["count"]
        == 15
    )
    reference = ("--reference", file)
    assert apart in " ".join(typed("drift", run, file, *reference)[1].split())
    status = json.loads(typed("drift", run, file, *reference, "--json")[1])["guarantee"]
    assert status["by_rules"]["decided"]["count"] == 15
    code, shown, _ = typed("calibrate", run, file, "--precision", "0.8", "--out", tmp_path / "new")
    assert code == 0
    assert aisle.load(tmp_path / "new").rules.digest == ruled().rules.digest


def test_info_and_the_card_name_the_rules(typed, tmp_path):
    model().save(tmp_path / "model")
    card = tmp_path / "model" / "README.md"
    plain = card.read_text()
    assert "rules" not in plain.lower()
    made = ruled().rules
    set_rules(tmp_path / "model", made)
    statement = f"3 rules, version {made.digest}; products on which they act are counted apart"
    assert statement in card.read_text()
    assert statement in " ".join(typed("info", tmp_path / "model")[1].split())
    described = json.loads(typed("info", tmp_path / "model", "--json")[1])["rules"]
    assert described == {"rules": 3, "version": made.digest, "expired": []}
    assert statement in repr(aisle.load(tmp_path / "model"))
    set_rules(tmp_path / "model", None)
    assert card.read_text() == plain
    assert json.loads(typed("info", tmp_path / "model", "--json")[1])["rules"] is None
