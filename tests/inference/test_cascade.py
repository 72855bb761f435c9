"""A cheap stage answers what it is sure of; the rest, and nothing else, goes to the full one."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

import aisle
from aisle.cli import register
from aisle.data.demo import make_shop
from aisle.errors import BundleError
from aisle.evaluation import evaluate
from aisle.guarantee import Policy
from aisle.inference.cascade import Cascade
from aisle.inference.fit_cascade import SHARES, CascadeError, HeldOutScores, choose
from aisle.inference.holdout import HeldOutRows, cost_of
from aisle.taxonomy import Scores, Targets, Taxonomy
from tests.conftest import QUICK

TITLES = "red running shoes", "", "zzz"
NEW = [aisle.Product(str(i), {"title": title}) for i, title in enumerate(TITLES, 1)]


def run_cli(*arguments):
    return CliRunner().invoke(register(), list(map(str, arguments)))


@pytest.fixture(scope="module")
def cheap(trained):
    """The words alone, on the same rows."""
    changes = [change for change in QUICK if "image" not in change]
    return aisle.train(trained.catalog, "fast", changes=[*changes, "views.text=false", "views.image=false"])


@pytest.fixture(scope="module")
def made(cheap, trained, tmp_path_factory):
    """The command's cascade of the two, and what it printed."""
    home = tmp_path_factory.mktemp("cascade")
    cheap.save(home / "cheap")
    other = make_shop(home / "shop", 240, seed=1)  # the models have seen every row of their own shop
    stages = home / "cheap", trained.run
    options = "--max-loss", "40", "--precision", "0.5", "--json"
    result = run_cli("cascade", *stages, other.products, "--out", home / "both", *options)
    assert result.exit_code == 0, result.output
    return home / "both", json.loads(result.stdout)


def test_only_what_the_cheap_stage_is_unsure_of_reaches_the_full_one(cheap, trained):
    rows = trained.catalog.select(np.arange(90))
    first, second = cheap.score(rows).logp, trained.model.score(rows).logp
    threshold = float(np.median(first.max(1)))
    asked = []

    class Counting:
        def __getattr__(self, name):
            return getattr(trained.model, name)

        def score_batches(self, products, without=()):
            asked.extend(product.id for product in products)
            return trained.model.score_batches(products, without)

    both = Cascade((cheap, Counting()), (threshold,), policy=Policy.uncalibrated(cheap.taxonomy), batch=32)
    unsure = first.max(1) < threshold
    np.testing.assert_allclose(both.score(rows).logp, np.where(unsure[:, None], second, first), atol=1e-4)
    assert asked == [product.id for product, rest in zip(rows, unsure, strict=True) if rest]
    never = dataclasses.replace(both, thresholds=(-np.inf,))
    asked.clear()
    np.testing.assert_allclose(never.score(rows).logp, first, atol=1e-4)
    assert not asked


@pytest.mark.slow
def test_three_stages_each_answer_what_those_before_are_unsure_of(cheap, trained):
    rows = trained.catalog.select(np.arange(90))
    middle = aisle.train(trained.catalog, "fast", changes=[*QUICK, "views.image=false"])
    models = cheap, middle, trained.model
    said = [model.score(rows).logp for model in models]
    sure = [logp.max(1) for logp in said]
    first = float(np.median(sure[0]))
    second = float(np.median(sure[1][sure[0] < first]))
    both = Cascade(models, (first, second), policy=Policy.uncalibrated(cheap.taxonomy), batch=32)
    stage = np.where(sure[0] >= first, 0, np.where(sure[1] >= second, 1, 2))
    assert set(stage) == {0, 1, 2}
    assert both.stage_of(rows).tolist() == stage.tolist()
    expected = np.stack(said)[stage, np.arange(90)]
    np.testing.assert_allclose(both.score(rows).logp, expected, atol=1e-4)


def test_a_report_tells_which_stage_answered(made, shop, tmp_path):
    rows = aisle.read(shop.products)
    rows = rows.select(np.flatnonzero(~rows.fatal & (rows.targets().node >= 0)))
    both = aisle.load(made[0])
    found = evaluate(both, rows, per_view=False, why=False)
    page = found.write(tmp_path).read_text()
    said = json.loads((tmp_path / "report.json").read_text())
    assert [one["name"] for one in said["stages"]] == ["cheap", "first"]
    stage = both.stage_of(rows)
    assert [one["share"] for one in said["stages"]] == pytest.approx(np.bincount(stage) / len(rows))
    right = sum(one["share"] * one["accuracy"] for one in said["stages"])
    assert right == pytest.approx(said["model"]["overall"]["accuracy"]["value"])
    assert "Stages of the cascade" in page


def test_it_tells_each_stages_share_and_cost(made):
    folder, said = made
    cheap, full = said["stages"]
    assert (cheap["name"], full["name"]) == ("cheap", "first")
    assert cheap["share"] + full["share"] == pytest.approx(1)
    assert cheap["share"] >= SHARES[0] - 0.05
    assert cheap["milliseconds"] > 0
    assert said["milliseconds"] == pytest.approx(cheap["milliseconds"] + full["share"] * full["milliseconds"])
    assert said["cost"]["high"] <= 40
    assert aisle.load(folder).stages == said["stages"]
    result = run_cli("info", folder)
    assert f"{cheap['share']:>4.0%} of products" in result.output


@pytest.mark.slow
def test_a_saved_one_answers_as_any_model(made, trained, shop, tmp_path):
    both = aisle.load(made[0])
    assert both.model_id == made[1]["model_id"]
    answers = both.predict(NEW)
    assert [answer.id for answer in answers] == ["1", "2", "3"]
    assert {answer.model_id for answer in answers} == {both.model_id}
    assert answers[1].decision == "review"  # nothing is known of it
    copy = both.save(tmp_path / "copy")
    assert aisle.load(tmp_path / "copy").predict(NEW) == copy.predict(NEW)
    out = tmp_path / "placed.jsonl"
    assert run_cli("classify", made[0], shop.products, "--out", out).exit_code == 0
    placed = [json.loads(line) for line in out.read_text().splitlines()]
    assert placed == [answer.to_dict() for answer in both.predict(trained.catalog)]
    assert np.isin(trained.model.seen(trained.catalog), both.seen(trained.catalog)).all()
    with pytest.raises(ValueError, match="no view"):
        both.score(NEW, without=["sound"])


def test_its_promise_is_its_own(made):
    both = aisle.load(made[0])
    assert both.policy.settings.precision == 0.5
    assert both.policy.settings.alpha == pytest.approx(0.05 / len(SHARES))  # any of so many might be chosen


def test_a_damaged_or_exchanged_stage_is_noticed(made, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(made[0], copy)
    shutil.rmtree(copy / "stages" / "1")
    shutil.copytree(copy / "stages" / "0", copy / "stages" / "1")
    with pytest.raises(BundleError, match=r"edited or damaged|truncated"):
        aisle.load(copy)


@pytest.mark.slow
def test_bad_input_is_said_in_one_line(made, trained, shop, tmp_path):
    rows = [{"title": "red lamp", "category": "X"}, {"title": "blue sofa", "category": "Y"}]
    catalog = aisle.read(rows * 4)
    other = aisle.train(catalog, "fast")
    other.save(tmp_path / "other")
    result = run_cli("cascade", tmp_path / "other", trained.run, shop.products, "--out", tmp_path / "x")
    assert "different category trees" in str(result.exception)
    stages = made[0] / "stages" / "0", trained.run
    result = run_cli("cascade", *stages, shop.products, "--out", tmp_path / "x")
    assert "no row here is labelled and unseen by the models" in str(result.exception)
    unseen = made[0].parent / "shop" / shop.products.name
    result = run_cli("cascade", *stages, unseen, "--out", tmp_path / "x")
    assert "cannot be ruled out" in str(result.exception)  # too few rows to show half a point
    assert not (tmp_path / "x").exists()


# -- choosing ---------------------------------------------------------------------------------------


def judged(rows, wrong_below, seed=0):
    """A full stage that is always right; a cheap one that is right only on its surest rows."""
    tree = Taxonomy.from_paths([("A",), ("B",)])
    rng = np.random.default_rng(seed)
    sure = np.sort(rng.uniform(0.5, 1, rows))[::-1]
    right = np.arange(rows) < rows * (1 - wrong_below)
    cheap = np.where(right[:, None], np.stack([sure, 1 - sure], 1), np.stack([1 - sure, sure], 1))
    full = np.tile([0.9, 0.1], (rows, 1))
    targets = Targets(np.zeros(rows, int), np.ones(rows, bool))
    held = HeldOutRows(None, targets, np.arange(rows))  # type: ignore[arg-type]
    return HeldOutScores(held, (Scores(tree, np.log(cheap)), Scores(tree, np.log(full))), (1.0, 10.0))


def test_the_cheap_stage_answers_as_many_as_can_be_shown_to_cost_little():
    said = judged(4000, wrong_below=0.42)  # right on the surest 58 %
    thresholds, cost = choose(said, 0.5)
    share = float((said.stage(thresholds) == 0).mean())
    assert share == pytest.approx(0.5, abs=0.001)
    assert cost.points == 0
    assert cost.high <= 0.5
    lost = said.before.mean() - said.held.right(said.cascaded(thresholds)).mean()
    assert lost == 0
    thresholds, cost = choose(said, 5.0)
    assert float((said.stage(thresholds) == 0).mean()) == pytest.approx(0.6, abs=0.001)
    assert cost.points == pytest.approx(2, abs=0.05)  # 60 % answered, of which 58 right


def test_each_of_several_stages_passes_on_the_same_share():
    said = judged(4000, wrong_below=0.42)
    said = said._replace(scores=(said.scores[0], *said.scores), milliseconds=(1.0, 2.0, 10.0))
    stage = said.stage(said.thresholds(0.75))
    assert [float((stage == i).mean()) for i in range(3)] == pytest.approx([0.5, 0.25, 0.25], abs=0.001)


def test_too_few_rows_show_nothing():
    with pytest.raises(CascadeError, match="cannot be ruled out"):
        choose(judged(100, wrong_below=0.0), 0.5)


def test_what_is_lost_is_counted_in_points():
    before, after = np.ones(200, bool), np.arange(200) >= 4
    assert cost_of(before, after).points == pytest.approx(2)
    assert str(cost_of(before, after)).startswith("+2.00 points (")
