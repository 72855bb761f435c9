"""The operating curve on the command line: the same numbers everywhere, and never a dead end."""

import dataclasses
import json

import pytest

import aisle
from aisle.errors import AisleError
from aisle.guarantee import OperatingPoint, Settings, summarize_curve
from aisle.guarantee.rule import NEVER
from aisle.inference.cascade import Cascade
from aisle.inference.ensemble import Ensemble

NOTHING = OperatingPoint(0.95, NEVER, NEVER, (), 192, 0.0, (0.0, 0.0))
SOME = OperatingPoint(0.9, 2.0, 8.0, (), 192, 0.412, (0.035, 0.1))
MORE = OperatingPoint(0.8, 1.0, 4.0, (), 192, 0.705, (0.0, 0.081))


def undecided(model):
    """The model with a curve on which nothing is guaranteed at 95 %."""
    policy = dataclasses.replace(model.policy, settings=Settings(0.95), curve=(NOTHING, SOME, MORE))
    return model.with_policy(policy)


def kind_of(name, trained):
    model = undecided(trained.model)
    if name == "ensemble":
        both = Ensemble.of([trained.model, trained.model], ["a", "b"], [1, 1])
        return both.with_policy(model.policy)
    if name == "cascade":
        stage = {"name": "a", "share": 0.5, "milliseconds": 1.0}
        measured = {
            "stages": [stage, {**stage, "name": "b"}], "accuracy": {"a": 0.5, "b": 0.6, "together": 0.6},
            "milliseconds": 1.0, "cost": {"rows": 40, "points": 0.0, "low": 0.0, "high": 0.0},
        }  # fmt: skip
        made = Cascade((trained.model, trained.model), (-0.1,), policy=model.policy)
        return dataclasses.replace(made, results={"cascade": measured})
    return model


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["linear", "ensemble", "cascade"])
def test_info_shows_the_curve_of_every_kind_of_model(kind, trained, typed, tmp_path):
    model = kind_of(kind, trained).save(tmp_path / "model")
    code, out, _ = typed("info", tmp_path / "model")
    assert code == 0
    for shown in ("41.2%", "13.5%", "45.3%", "70.5%", "8.1%", "all 3 precisions hold at once"):
        assert shown in out
    assert "t 95% nothing can be guaranteed; at 90%, 41.2% of products get a full path" in out
    assert f"aisle classify {tmp_path / 'model'} NEW.csv --precision 0.9" in out
    told = json.loads(typed("info", tmp_path / "model", "--json")[1])["operating_curve"]
    assert told == json.loads(json.dumps(summarize_curve(model.policy).to_dict()))
    assert [p["full"] for p in told["points"]] == [0.0, 0.412, 0.705]
    assert told["points"][1]["branch"] == [0.035, 0.1]


@pytest.mark.slow
def test_classify_names_what_can_be_guaranteed_and_its_command_works(trained, shop, typed, tmp_path):
    home, file = tmp_path / "model", tmp_path / "found.csv"
    undecided(trained.model).save(home)
    code, out, err = typed("classify", home, shop.products, "--out", file)
    assert code == 0
    assert "every product is left for review: at 95% nothing can be guaranteed; at 90%, 41.2%" in err
    (command,) = [line.split(None, 1)[1] for line in out.splitlines() if line.startswith("instead")]
    assert command == f"aisle classify {home} {shop.products} --precision 0.9"
    code, out, err = typed(*command.split()[1:], "--out", file, "--json")
    assert code == 0
    decided = json.loads(out)
    assert decided["model_id"].endswith("@0.9")
    assert decided["decisions"].get("accept", 0) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "chosen", "message"),
    [
        ("0.9", 0.9, None),
        ("0.85", 0.9, "precision 90%: the next point of the curve"),
        ("0.5", 0.8, "precision 80%: the next point of the curve"),
        ("0.97", None, "precision 0.97 is above this model's curve: 0.95, 0.9, 0.8"),
        ("1.5", None, "less than or equal to 0.9999"),
        ("high", None, "should be a valid number"),
    ],
)
def test_a_point_of_the_curve_is_chosen_without_new_rows(
    asked, chosen, message, trained, shop, typed, tmp_path
):
    home, file = tmp_path / "model", tmp_path / "found.jsonl"
    model = undecided(trained.model).save(home)
    code, _, err = typed("classify", home, shop.products, "--out", file, "--precision", asked)
    assert (message or "") in err
    if chosen is None:
        assert code == 2
        return
    assert code == 0
    written = [json.loads(line)["decision"] for line in file.read_text().splitlines()]
    expected = model.predict(trained.catalog, precision=chosen)
    assert written == [one.decision for one in expected]
    assert written == [one.decision for one in aisle.load(home, precision=chosen).predict(trained.catalog)]


@pytest.mark.parametrize("kind", ["ensemble", "cascade"])
def test_every_kind_of_model_predicts_at_a_point(kind, trained, tmp_path):
    model = kind_of(kind, trained)
    products = trained.catalog.select(range(40))
    usual = [p.decision for p in model.predict(products)]
    lenient = [p.decision for p in model.predict(products, precision=0.8)]
    assert set(usual) == {"review"}
    assert lenient.count("accept") > 0
    with pytest.raises(AisleError, match="give a number between 0 and 1"):
        model.predict(products, precision="high")


@pytest.mark.slow
def test_train_says_what_can_be_guaranteed(shop, typed, tmp_path):
    code, out, _ = typed("train", shop.products, "--out", tmp_path / "run", "--no-baseline")
    assert code == 0
    told = json.loads(typed("info", tmp_path / "run", "--json")[1])["operating_curve"]
    for point in told["points"]:
        assert f"{point['full']:.1%}" in out
        assert f"{point['review']:.1%}" in out
    assert told["statement"] in out
