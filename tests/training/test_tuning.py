"""`aisle tune`: hyperparameters found in folds, confirmed on other folds, resumable, never on `test` rows."""

import csv
import json

import numpy as np
import pytest

from aisle.data import read
from aisle.errors import AisleError, CatalogError, RecipeError
from aisle.training.recipe import load_recipe
from aisle.training.search_space import Hyperparameter, default_space, search_space
from aisle.training.tuning import BEST, TRIALS, tune
from tests.training import shop

pytest.importorskip("optuna")

WORDS = "views.title.max_words"
RECIPE = load_recipe(
    {
        "name": "one-word",
        "family": "linear",
        "views": {"title": {"type": "Tfidf", "max_words": 1, "word_bigrams": 0, "max_features": 0}},
        "label_name_examples": False,
    }
)


@pytest.fixture(scope="module")
def catalog():
    return shop.catalog(90, images=False)


def tuned(catalog, out, trials=3, **options):
    space = search_space(RECIPE, options.pop("search", [f"{WORDS}=1,200"]))
    return tune(catalog, RECIPE, space, out=out, trials=trials, budget=None, folds=2, **options)


def rows_of(file):
    with file.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_better_value_is_found_and_confirmed_on_other_folds(catalog, tmp_path):
    found = tuned(catalog, tmp_path / "study", trials=6)
    assert found.best.values == {WORDS: 200}
    assert found.default.values == {WORDS: 1}
    assert found.best.metric > found.default.metric
    assert found.gain.low > 0
    assert found.gain.value == pytest.approx(found.best.metric - found.default.metric, abs=0.25)
    assert load_recipe(tmp_path / "study" / BEST).views["title"].max_words == 200
    table = rows_of(tmp_path / "study" / TRIALS)
    assert [row["trial"] for row in table] == [str(trial.number) for trial in found.trials]
    assert float(table[0]["accuracy"]) == pytest.approx(found.best.metric, abs=1e-6)
    assert len(table) == 6


def test_a_recipe_that_is_best_already_is_kept(catalog, tmp_path):
    good = load_recipe(RECIPE, [f"{WORDS}=200"])
    found = tune(catalog, good, search_space(good, [f"{WORDS}=1,200"]), out=tmp_path, trials=2, budget=None)
    assert found.best.metric == found.default.metric
    assert found.gain is None
    assert load_recipe(tmp_path / BEST) == good


def test_a_study_is_continued_and_never_mixed_with_another(catalog, tmp_path):
    first = tuned(catalog, tmp_path, trials=2)
    with pytest.raises(AisleError, match="add --resume"):
        tuned(catalog, tmp_path)
    with pytest.raises(AisleError, match="another metric"):
        tuned(catalog, tmp_path, metric="macro_f1", resume=True)
    with pytest.raises(AisleError, match="another catalog"):
        tuned(shop.catalog(91, images=False), tmp_path, resume=True)
    second = tuned(catalog, tmp_path, trials=4, resume=True)
    numbers = {trial.number: trial.values for trial in second.trials}
    assert sorted(numbers) == [0, 1, 2, 3]
    assert all(numbers[trial.number] == trial.values for trial in first.trials)


def test_a_trial_that_was_interrupted_is_run_again(catalog, tmp_path):
    class Interrupted(BaseException):
        pass

    class Stops:
        """Progress that is interrupted after the first trial."""

        def __call__(self, label, total=None, unit="products"):
            return self

        def __enter__(self):
            return self.advance

        def __exit__(self, *error):
            return None

        def advance(self, count):
            if count:
                raise Interrupted

        def say(self, message):
            return None

    with pytest.raises(Interrupted):
        tuned(catalog, tmp_path, progress=Stops())
    found = tuned(catalog, tmp_path, trials=2, resume=True)
    assert {trial.state for trial in found.trials} == {"complete"}
    assert found.default.values == {WORDS: 1}


def test_test_rows_are_never_used(catalog, tmp_path):
    products = shop.products(60, images=False)
    rows = [
        {"id": p.id, "title": p.fields["title"], "category": " > ".join(p.categories[0]), "split": "test"}
        for p in products
    ]
    with pytest.raises(CatalogError, match="60 rows marked `test` are never tuned on"):
        tuned(read(rows), tmp_path / "a")
    # Labels of `test` rows that contradict all others change nothing.
    rows = [{**row, "split": "train"} for row in rows]
    wrong = [{**row, "id": f"t{row['id']}", "category": "Garden", "split": "test"} for row in rows]
    with_test, without = tuned(read(rows + wrong), tmp_path / "b"), tuned(read(rows), tmp_path / "c")
    assert [t.metric for t in with_test.trials] == [t.metric for t in without.trials]


def test_ranges_include_the_value_of_the_recipe():
    penalty, words, flag = search_space(
        RECIPE, ["linear_svm.penalty=2..8:log", f"{WORDS}=20..40", "label_name_examples=true"]
    )
    assert penalty == Hyperparameter("linear_svm.penalty", 0.5, 8.0, log=True)
    assert words == Hyperparameter(WORDS, 1.0, 40.0, integer=True)
    assert flag.choices == (False, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("linear_svm.penalty", "is not KEY=LOW..HIGH"),
        ("linear_svm.penalty=1..2..3", "is not KEY=LOW..HIGH"),
        ("linear_svm.penalty=1..2:cubic", "is not KEY=LOW..HIGH"),
        ("linear_svm.penalty=2..1", "LOW is less than HIGH"),
        ("linear_svm.penalty=0..1:log", "a logarithmic range begins above 0"),
        ("linear_svm.penalty=a..b", "the ends of a range are numbers"),
        ("linear_svm.penality=1..2", "has no key 'linear_svm.penality'"),
        ("linear_svm=1..2", "is a table or a list"),
        ("linear_svm.penalty=-1..2", "penalty"),
        ("logit_adjustment=0.1..1:log", "leave :log out"),
    ],
)
def test_a_bad_search_option_is_refused_before_training(text, message):
    with pytest.raises(RecipeError, match=message):
        search_space(RECIPE, [text])


@pytest.mark.parametrize("name", ["fast", "balanced", "best", "simple"])
def test_every_key_of_the_default_space_can_be_set(name):
    recipe = load_recipe(name)
    keys = [one.key for one in search_space(recipe, [])]
    assert keys == [one.key for one in default_space(recipe)]
    assert len(keys) >= 4


def test_unknown_metrics_and_folders_in_use_are_refused(catalog, tmp_path):
    with pytest.raises(AisleError, match="there is no metric 'auc'"):
        tuned(catalog, tmp_path, metric="auc")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(AisleError, match="is not empty and holds no study"):
        tuned(catalog, tmp_path)


@pytest.mark.slow
def test_the_command_prints_one_table_and_says_whether_it_pays(typed, tmp_path):
    file = tmp_path / "shop.csv"
    with file.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["id", "title", "category"])
        for product in shop.products(90, images=False):
            writer.writerow([product.id, product.fields["title"], " > ".join(product.categories[0])])
    recipe = tmp_path / "one-word.toml"
    recipe.write_text(
        'name = "one-word"\nfamily = "linear"\nlabel_name_examples = false\n'
        '[views.title]\ntype = "Tfidf"\nmax_words = 1\nword_bigrams = 0\nmax_features = 0\n'
    )
    options = ("--recipe", recipe, "--search", f"{WORDS}=1,200", "--folds", 2, "--seed", 1)
    code, shown, _ = typed("tune", file, *options, "--trials", 4, "--out", tmp_path / "out")
    assert code == 0
    assert "4 trials; trial 0 is the recipe as it is" in shown
    assert "On other folds, the best recipe changes accuracy by +" in shown
    assert f"--recipe {tmp_path / 'out' / BEST}" in shown
    code, _, said = typed("tune", file, *options, "--trials", 4, "--out", tmp_path / "out")
    assert code == 2
    assert "add --resume" in said
    code, shown, _ = typed(
        "tune", file, *options, "--trials", 5, "--out", tmp_path / "out", "--resume", "--json"
    )
    result = json.loads(shown)
    assert code == 0
    assert len(result["trials"]) == 5
    assert result["better"] is True
    assert np.isclose(result["trials"][0]["values"][WORDS], 200)


@pytest.mark.parametrize(
    ("budget", "message"), [("30", "write a time such as"), ("soon", "write a time such as")]
)
def test_a_budget_without_a_unit_is_refused(typed, tmp_path, budget, message):
    code, _, said = typed("tune", tmp_path / "absent.csv", "--budget", budget)
    assert code == 2
    assert message in said


def test_a_search_without_any_end_is_refused(typed, tmp_path):
    code, _, said = typed("tune", tmp_path / "absent.csv", "--budget", "none")
    assert code == 2
    assert "set --trials" in said
