import dataclasses
import json
import shutil
from math import comb

import numpy as np
import pytest
from typer.testing import CliRunner

from aisle.cli import register
from aisle.data import read
from aisle.errors import AisleError
from aisle.evaluation.drift import Profile, compare_profiles, drift, profile
from aisle.evaluation.drift.languages import language
from aisle.evaluation.drift.permutation_tests import energy_distance, holm, ks_test, share_test, word_test
from tests.evaluation.shop import PLACES, catalog, products


@pytest.fixture(scope="module")
def before(promising):
    return profile(promising, catalog(400, seed=31, start=10_000))


def changed(found):
    return {aspect.key for aspect in found.changed}


def shifted(change, seed=32):
    return read([change(p) for p in products(400, seed=seed, start=20_000)])


def fields(product, **new):
    kept = {name: text for name, text in (product.fields | new).items() if text}
    return dataclasses.replace(product, fields=kept)


def test_nothing_changed_is_no_alarm(promising, before):
    found = drift(promising, catalog(400, seed=32, start=20_000), before)
    assert changed(found) == set()
    assert found.guarantee.verdict == "holds"
    assert found.guarantee.guaranteed == 0.8
    assert found.guarantee.measured.low < found.guarantee.measured.value < found.guarantee.measured.high
    assert (found.rows, found.reference_rows, found.seen) == (400, 400, 0)


@pytest.mark.slow
def test_other_categories_are_noticed_and_named(promising, before):
    rare = {path: PLACES[path] for path in list(PLACES)[::-1]}  # what was rare is common now
    found = drift(promising, read(products(400, seed=33, places=rare, start=20_000)), before)
    assert {"classes", "branches", "vocabulary"} <= changed(found)
    moved = {m.name: m.now - m.before for m in next(a for a in found.changed if a.key == "branches").moved}
    assert moved["Garden"] > 0.2
    assert moved["Clothing"] < -0.2
    words = next(a for a in found.changed if a.key == "vocabulary").moved
    assert {"plant", "pot", "soil"} & {m.name for m in words}


@pytest.mark.slow
def test_a_template_in_some_titles_is_noticed_by_its_words(promising, before):
    def templated(p):
        return fields(p, title=f"OUTLET {p.fields['title']} warranty") if int(p.id[1:]) % 8 == 0 else p

    found = drift(promising, shifted(templated), before)
    assert "words" in changed(found)
    aspect = next(a for a in found.changed if a.key == "words")
    assert aspect.effect == pytest.approx(1 / 8, abs=0.01)
    moved = {m.name: (m.before, round(m.now, 3)) for m in aspect.moved[:2]}
    assert moved == {"outlet": (0.0, 0.125), "warranty": (0.0, 0.125)}


def test_single_words_are_tested_exactly_and_corrected_for_their_number():
    """By hand: 5 of 10 rows against 0 of 10; two-sided 2 × C(10, 5) / C(20, 5) of two words."""
    found = word_test({"new": 5, "always": 10, "rare": 1}, 10, {"always": 10}, 10)
    assert found.p == pytest.approx(2 * 2 * comb(10, 5) / comb(20, 5))
    assert found.effect == 0.0  # not beyond chance
    assert word_test({"new": 9}, 10, {}, 10).effect == 0.9
    assert word_test({"rare": 2}, 10, {}, 10) == (0.0, 1.0)


@pytest.mark.slow
def test_a_view_that_goes_missing_is_noticed(promising, before):
    found = drift(promising, shifted(lambda p: fields(p, description="")), before)
    assert {"view description", "length"} <= changed(found)
    assert "view title" not in changed(found)
    told = next(a for a in found.changed if a.key == "view description").moved[0]
    assert (told.before, told.now) == (1.0, 0.0)


def test_another_language_is_noticed(promising, before):
    german = "die Stiefel sind neu und aus Leder, nicht für Kinder"
    found = drift(promising, shifted(lambda p: fields(p, description=german)), before)
    assert "languages" in changed(found)
    moved = {m.name: m.now for m in next(a for a in found.changed if a.key == "languages").moved}
    assert moved["de"] == 1.0


def test_a_guarantee_that_labels_refute_is_broken(promising, before):
    """Titles and descriptions of other products: the model is as sure as ever, and wrong."""
    rows = products(400, seed=34, start=20_000)
    others = [dataclasses.replace(p, categories=rows[(i + 57) % 400].categories) for i, p in enumerate(rows)]
    found = drift(promising, read(others), before)
    assert found.guarantee.verdict == "broken"
    assert found.guarantee.measured.high < 0.8


@pytest.mark.slow
def test_the_curve_is_measured_on_the_files_own_labels(promising, before):
    rows = catalog(400, seed=32, start=20_000)
    found = drift(promising, rows, before)
    assert [p.precision for p in found.operating_curve.points] == [
        p.precision for p in promising.policy.curve
    ]
    for point in found.operating_curve.points:
        policy = promising.policy.at(point.precision)
        decided = policy.predict([p.id for p in rows], promising.score(list(rows)))
        assert point.measured_full.count == sum(p.decision == "accept" for p in decided)
        assert point.measured_branch.count == sum(p.decision == "partial" for p in decided)
    chosen = next(p for p in found.operating_curve.points if p.precision == 0.8)
    assert found.guarantee.measured == chosen.measured_full.precision
    assert found.guarantee.accepted == pytest.approx(chosen.measured_full.coverage)
    assert found.guarantee.partial == pytest.approx(chosen.measured_branch.coverage)
    assert f"{100 * found.guarantee.measured.value:.1f} % of those accepted" in found.guarantee.why
    unlabelled = [dataclasses.replace(p, categories=()) for p in rows]
    assert drift(promising, read(unlabelled), before).operating_curve is None


@pytest.mark.slow
def test_categories_that_the_model_does_not_know_make_every_decision_wrong(promising, before):
    rows = [
        dataclasses.replace(p, categories=(("New", "things"),)) for p in catalog(400, seed=32, start=20_000)
    ]
    found = drift(promising, read(rows), before)
    assert found.guarantee.verdict == "broken"
    assert found.guarantee.measured.value == 0


def test_too_few_rows_and_another_models_reference_are_refused(promising, before):
    with pytest.raises(AisleError, match="fewer than 30"):
        drift(promising, catalog(12), before)
    with pytest.raises(AisleError, match="the reference is of model other"):
        drift(promising, catalog(50), dataclasses.replace(before, model_id="other"))


def test_a_profile_survives_its_file_and_damage_is_said(before, tmp_path):
    before.save(tmp_path / "reference.npz")
    again = Profile.load(tmp_path / "reference.npz")
    for part in dataclasses.fields(Profile):
        mine, kept = getattr(before, part.name), getattr(again, part.name)
        assert np.array_equal(mine, kept) if isinstance(mine, np.ndarray) else mine == kept
    data = (tmp_path / "reference.npz").read_bytes()
    (tmp_path / "reference.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(AisleError, match="is damaged"):
        Profile.load(tmp_path / "reference.npz")


def test_languages_are_told_apart():
    assert language("The boots are new and you will like them") == "en"
    assert language("Die Stiefel sind neu und aus Leder") == "de"
    assert language("les bottes sont dans un bon état pour vous") == "fr"
    assert language("кожаные ботинки") == "cyrillic"
    assert language("皮靴 新品") == "han"
    assert language("12 34") == "no text"
    assert language("iPhone 12 Pro") == "latin, unsure"


def test_shuffling_finds_what_differs_and_holm_corrects():
    rng = np.random.default_rng(0)
    same, other = rng.normal(size=300), rng.normal(0.6, 1, 300)
    assert ks_test(same, other).p < 0.01
    assert ks_test(same, rng.normal(size=300)).p > 0.01
    gap = np.abs(
        np.subtract.outer(np.sort(same), np.sort(same)) >= 0
    ).mean()  # a sanity check of its own scale
    assert 0 < gap < 1
    assert share_test(np.array(["a"] * 90 + ["b"] * 10), np.array(["a"] * 60 + ["b"] * 40)).effect > 0.2
    assert energy_distance(rng.normal(size=(80, 5)), rng.normal(0.7, 1, (80, 5))).p < 0.01
    assert holm([0.001, 0.04, 0.02, 0.3]) == [True, False, False, False]
    assert holm([0.001, 0.012, 0.02]) == [True, True, True]


@pytest.mark.slow
def test_random_halves_raise_at_most_five_percent_of_alarms(promising):
    whole = profile(promising, catalog(400, seed=40, start=30_000))
    alarms, rng = 0, np.random.default_rng(1)
    for _ in range(30):
        order = rng.permutation(len(whole))
        alarms += any(
            a.changed for a in compare_profiles(whole.select(order[:200]), whole.select(order[200:]))
        )
    assert alarms <= 3  # 1.5 of 30 expected at most; more than 3 has a chance of 6 %


def run(*arguments):
    return CliRunner().invoke(register(), [str(a) for a in ("drift", *arguments)], catch_exceptions=False)


@pytest.mark.slow
def test_the_command_compares_files_and_leaves_out_what_was_learned_from(trained, shop, tmp_path):
    model = tmp_path / "alone" / "model"
    shutil.copytree(trained.run / "model", model)
    with pytest.raises(AisleError, match="give --reference FILE"):  # a model alone kept nothing
        run(model, shop.products)
    said = run(model, shop.products, "--reference", shop.products, "--out", tmp_path / "out")
    assert said.exit_code == 0, said.output
    data = json.loads((tmp_path / "out" / "drift.json").read_text())
    assert data["seen"] == int(trained.model.seen(trained.catalog).sum())
    assert data["rows"] == len(trained.catalog) - data["seen"] - data["faulty"]
    assert not any(aspect["changed"] for aspect in data["aspects"])
    assert f"0 of {len(data['aspects'])} aspects changed" in said.output
    html = (tmp_path / "out" / "drift.html").read_text()
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")


@pytest.mark.slow
def test_default_training_keeps_its_out_of_fold_predictions_as_the_reference(tmp_path):
    from aisle import train
    from aisle.data.demo import make_shop

    made = make_shop(tmp_path / "shop", 300)
    catalog = read(made.products)
    model = train(catalog, out=tmp_path / "run")
    kept = Profile.load(tmp_path / "run" / "reference.npz")
    learned = catalog.select(catalog.split != "test")
    assert kept.model_id == model.model_id
    assert len(kept) == len(learned)
    known = [one.confidence[-1] for one in model.predict(learned)]
    assert kept.confidence.mean() < np.mean(known)  # of models that had not seen the rows
    assert kept.embedding.shape == (len(kept), min(64, model.dim))
    said = run(tmp_path / "run", made.products, "--json")
    assert json.loads(said.stdout)["reference_rows"] == len(kept)


@pytest.mark.slow
def test_training_keeps_what_the_rows_set_aside_look_like(tmp_path):
    from aisle import train
    from aisle.data.demo import make_shop
    from tests.conftest import QUICK

    made = make_shop(tmp_path / "shop", 300)
    model = train(
        read(made.products),
        "fast",
        changes=[*QUICK, "split.threshold=0.3", "guarantee.method=hold-out"],
        out=tmp_path / "run",
    )
    kept = Profile.load(tmp_path / "run" / "reference.npz")
    assert kept.model_id == model.model_id
    assert len(kept) >= 30
    said = run(tmp_path / "run", made.products, "--json")
    assert json.loads(said.stdout)["reference_rows"] == len(kept)
