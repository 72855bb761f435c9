"""Several models as one: means and stacks keep the Classifier protocol, survive disk, and say who counts."""

import inspect
import itertools
import json
import os
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import aisle
from aisle import evaluation
from aisle.errors import BundleError
from aisle.inference.classifier import Classifier
from aisle.inference.ensemble import Ensemble
from aisle.inference.stack import candidates, feature_names, fit_stack
from aisle.taxonomy import Scores, Taxonomy
from tests.training.shop import catalog, recipe

lightgbm = pytest.importorskip("lightgbm", reason="the extra stack is not installed")
STAGES = [{"epochs": 4, "batch_size": 16, "lr": 0.02}]
NAMES = ("words", "pictures")


@pytest.fixture(scope="module")
def shop():
    return catalog(90)


@pytest.fixture(scope="module")
def runs(shop, tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    both = recipe(stages=STAGES)
    for name, view in zip(NAMES, ("title", "image"), strict=True):
        aisle.train(shop, both | {"views": {view: both["views"][view]}}, out=home / name)
    return [home / name for name in NAMES]


@pytest.fixture(scope="module")
def members(runs):
    return [aisle.load(run) for run in runs]


def test_a_mean_is_the_mean_of_probabilities(members, shop):
    few = shop.select(np.arange(7))
    made = Ensemble.of(members, NAMES, [3, 1])
    expected = 0.75 * np.exp(members[0].score(few).all()) + 0.25 * np.exp(members[1].score(few).all())
    np.testing.assert_allclose(np.exp(made.score(few).all()), expected, rtol=1e-4)
    without = made.score(few, without=["title"]).all()
    one = members[0].score(few, without=["title"]).all()
    expected = 0.75 * np.exp(one) + 0.25 * np.exp(members[1].score(few).all())
    np.testing.assert_allclose(np.exp(without), expected, rtol=1e-4)


@pytest.mark.slow
def test_it_keeps_the_classifier_protocol(members, shop):
    made: Classifier = Ensemble.of(members, NAMES)
    for name, member in inspect.getmembers(Classifier):
        if not name.startswith("_") and callable(member):
            own = inspect.signature(getattr(type(made), name)).parameters
            assert list(inspect.signature(member).parameters) == list(own)
    assert made.views == ("title", "image")
    found = evaluation.evaluate(made, shop)
    assert {view.view for view in found.views} == {"title", "image"}
    assert found.model.overall.accuracy.value > 0.5
    with pytest.raises(ValueError, match="no view 'titel'"):
        made.score(shop, without=["titel"])


def test_other_trees_and_bad_weights_are_refused(members):
    other = aisle.train(catalog(20), recipe(stages=[{"epochs": 1}]), changes=["split.validation=0"])
    smaller = other.with_taxonomy(Taxonomy.from_paths([("Only",), ("Two",)]))
    with pytest.raises(BundleError, match="b and a have different category trees"):
        Ensemble.of([members[0], smaller], ["a", "b"])
    for weights in ([1.0], [1.0, -1.0], [0.0, 0.0]):
        with pytest.raises(BundleError, match="2 models take as many weights"):
            Ensemble.of(members, NAMES, weights)
    with pytest.raises(BundleError, match="at least one model"):
        Ensemble.of([], [])


@pytest.mark.slow
def test_from_runs_to_a_stack_on_the_command_line(runs, shop, tmp_path, monkeypatch, capsys):
    """`aisle ensemble` → a folder that `evaluate`, `classify` and `show` take."""
    from aisle import cli

    rows = [{"id": p.id, "title": p.fields["title"], "category": " > ".join(p.categories[0])} for p in shop]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))

    def run(*words):
        from typer.testing import CliRunner

        done = CliRunner().invoke(cli.register(), [str(w) for w in words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    out = tmp_path / "both"
    pair = [runs[0], runs[0]]  # rows without pictures: the one model twice
    said = json.loads(
        run("ensemble", *pair, "--method", "stack", "--on", file, "--folds", 2, "--out", out, "--json")
    )
    assert said["members"] == ["words 1", "words 2"]
    assert sum(said["results"]["importances"].values()) == pytest.approx(1)
    assert set(said["results"]["out_of_fold"]) == {"words 1", "words 2", "mean"}
    answers = run("classify", out, file, "--out", tmp_path / "placed.jsonl", "--json")
    assert json.loads(answers)["rows"] == len(rows)
    judged = json.loads(run("evaluate", out, file, "--out", tmp_path / "report", "--json"))
    assert judged["model"]["overall"]["accuracy"]["value"] > 0.5
    assert "ensemble" in run("info", out)
    mean = tmp_path / "mean"
    run("ensemble", *pair, "--out", mean, "--weights", "2,1")
    assert aisle.load(mean).weights.tolist() == pytest.approx([2 / 3, 1 / 3])


def test_saved_and_loaded_it_answers_alike_and_notices_damage(members, shop, tmp_path):
    made = Ensemble.of(members, NAMES).save(tmp_path / "both")
    again = aisle.load(tmp_path / "both")
    assert again.model_id == made.model_id != "unsaved"
    np.testing.assert_allclose(again.score(shop).all(), made.score(shop).all(), atol=1e-5)
    assert {p.model_id for p in again.predict(shop.select([0, 1]))} == {made.model_id}
    moved = shutil.copytree(tmp_path / "both", tmp_path / "elsewhere")
    manifest = moved / "ensemble.json"
    manifest.write_text(manifest.read_text().replace('"words"', '"wards"'))
    with pytest.raises(BundleError, match="was edited"):
        aisle.load(moved)
    (tmp_path / "both" / "policy.json").write_text("{}")
    with pytest.raises(BundleError, match=r"policy.json is truncated or edited"):
        aisle.load(tmp_path / "both")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="holds something else"):
        made.save(tmp_path / "taken")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(("renames", "new"), [(0, False), (1, False), (2, False), (3, True), (4, True)])
def test_a_writer_killed_at_any_rename_leaves_the_old_ensemble_or_the_new(
    renames, new, members, shop, tmp_path
):
    """Each member is renamed into place, then the old ensemble aside, then the new one to where it was."""
    out = tmp_path / "both"
    old = Ensemble.of(members, NAMES).save(out)
    child = os.fork()
    if not child:
        done = itertools.count()
        rename = Path.rename

        def dying(*args):
            if next(done) == renames:
                os.kill(os.getpid(), signal.SIGKILL)
            return rename(*args)

        Path.rename = dying
        Ensemble.of(members, NAMES, [3, 1]).save(out)
        os._exit(7)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended == (7 if renames == 4 else -signal.SIGKILL)
    found = aisle.load(out)
    assert found.weights.tolist() == ([0.75, 0.25] if new else [0.5, 0.5])
    assert (found.model_id == old.model_id) == (not new)
    assert len(found.predict(shop.select([0, 1]))) == 2
    assert os.listdir(tmp_path) == ["both"]


@pytest.mark.slow
def test_an_interrupted_stack_goes_on_where_it_stood(runs, shop, tmp_path):
    """Interrupted after the third of four trainings, it does the fourth only, and is the same in the end."""
    from aisle.training import stacking

    members = [aisle.load(run) for run in runs]
    recipes = [stacking.recipe_of(run) for run in runs]

    class Counting:
        def __init__(self, most):
            self.most, self.done = most, 0

        @contextmanager
        def __call__(self, *_, **__):
            def advance(n):
                self.done += n
                if self.done == self.most:
                    raise KeyboardInterrupt

            yield advance

        def say(self, message):
            pass

    def stack(keep, most=99):
        return stacking.fit_stacked_ensemble(
            members, NAMES, recipes, shop, n_folds=2, cache=keep, progress=Counting(most)
        )

    with pytest.raises(KeyboardInterrupt):
        stack(tmp_path / "folds", most=3)
    kept = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "folds").iterdir()}
    assert len(kept) == 3
    again = stack(tmp_path / "folds")
    after = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "folds").iterdir()}
    assert len(after) == 4
    assert kept.items() <= after.items()
    assert again.stack.model == stack(tmp_path / "other").stack.model


@pytest.mark.parametrize("name", ["ensemble.json", "aisle.json", "policy.json", "members/0/aisle.json"])
def test_what_is_edited_or_added_in_an_ensemble_is_refused(name, members, tmp_path):
    out = tmp_path / "both"
    Ensemble.of(members, NAMES).save(out)
    whole = (out / name).read_bytes()
    (out / name).write_bytes(whole[:-2])
    with pytest.raises(BundleError):
        aisle.load(out)
    (out / name).write_bytes(whole)
    for added in ("stack.txt", "neighbors.json", "members/0/zero_shot.json", "members/2/aisle.json"):
        (out / added).parent.mkdir(exist_ok=True)
        (out / added).write_text("{}")
        with pytest.raises(BundleError, match=f"{added.split('/')[-1]}, which aisle.json does not list"):
            aisle.load(out)
        (out / added).unlink()
    aisle.load(out)


# -- what is stacked ---------------------------------------------------------------------------

TREE = Taxonomy.from_paths([(a, f"{a}{b}") for a in "xyz" for b in range(4)])


def simulated(rows, seed):
    """One member knows the top category, the other the place within it; each alone is mostly wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 12, rows)
    top, within = truth // 4, truth % 4
    one, other = rng.normal(0, 0.3, (2, rows, 12))
    place = np.arange(12)
    one += 3.0 * (place // 4 == top[:, None])
    other += 3.0 * (place % 4 == within[:, None])
    other[rng.random(rows) < 0.2] = 0  # and sometimes it knows nothing
    both = [x - np.logaddexp.reduce(x, 1, keepdims=True) for x in (one, other)]
    return both, truth


@pytest.mark.slow
def test_a_stack_learns_whom_to_believe():
    counts = np.full(12, 20)
    scores, truth = simulated(600, 0)
    stack = fit_stack(["top", "within"], scores, truth, TREE, counts)
    held, answer = simulated(400, 1)
    found = stack.score(held, TREE, counts)
    np.testing.assert_allclose(np.exp(found).sum(1), 1, rtol=1e-6)
    right = (found.argmax(1) == answer).mean()
    singles = [(s.argmax(1) == answer).mean() for s in held]
    assert right > max(singles) + 0.3
    assert isinstance(Scores(TREE, found).best(), np.ndarray)
    shares = stack.importances(TREE.depth)
    assert set(shares) == {"top", "within", "category"}
    assert shares["category"] < min(shares["top"], shares["within"])
    told = stack.contributions(held, TREE, counts)
    assert len(told) == 400
    asked = candidates(held, TREE, counts)
    margin = stack.booster.predict(asked.features, raw_score=True)
    for i in (0, 17, 399):
        best = margin[asked.row == i].max()
        assert sum(told[i].values()) == pytest.approx(best, abs=1e-5)  # SHAP values add up


def test_candidates_are_asked_the_same_whatever_the_tree_holds():
    counts = np.arange(12)
    scores, _ = simulated(5, 2)
    asked = candidates(scores, TREE, counts)
    names = feature_names(["top", "within"], TREE.depth)
    assert asked.features.shape == (len(asked.row), len(names))
    column = dict(zip(names, asked.features.T, strict=True))
    for i, (row, terminal) in enumerate(zip(asked.row, asked.terminal, strict=True)):
        own = scores[0][row]
        assert column["top: log-probability"][i] == pytest.approx(own[terminal], rel=1e-5)
        assert column["top: below its best"][i] == pytest.approx(own[terminal] - own.max(), abs=1e-5)
        branch = np.logaddexp.reduce(own[terminal // 4 * 4 : terminal // 4 * 4 + 4])
        assert column["top: level 1"][i] == pytest.approx(branch, rel=1e-4, abs=1e-5)
        assert column["category: training products"][i] == pytest.approx(np.log1p(counts[terminal]), rel=1e-5)
    for row in range(5):  # the five best of either
        best = set(np.argsort(-scores[0][row])[:5]) | set(np.argsort(-scores[1][row])[:5])
        assert set(asked.terminal[asked.row == row]) == best
