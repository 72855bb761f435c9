"""The registry of metrics: one function in `aisle.metrics.overall`, known everywhere."""

import json

import numpy as np
import pytest

import aisle
from aisle.evaluation.compare import Variant, compare
from aisle.metrics import Truth, metric_label, overall, overall_metrics
from aisle.taxonomy import Targets
from aisle.training.recipe import load_recipe
from tests.conftest import NETWORK
from tests.metrics.helpers import TREE

NEW = "level_share"


def level_share(matched):
    """Share of the labels' levels that are predicted."""
    return float(matched.shared.sum() / matched.taxonomy.node_depth[matched.node].sum())


@pytest.fixture
def new_metric(monkeypatch):
    """A metric is added: a function, and its name in `__all__`."""
    monkeypatch.setattr(overall, NEW, level_share, raising=False)
    monkeypatch.setattr(overall, "__all__", [*overall.__all__, NEW])


def judged_pairs(pairs):
    nodes = np.array([[TREE.index(path) for path in pair] for pair in pairs])
    return Truth.of(TREE, Targets(nodes[:, 0], np.ones(len(nodes), bool))).match(nodes[:, 1])


@pytest.mark.parametrize("name", overall.__all__)
def test_a_metric_is_one_for_true_paths_and_zero_for_wrong_top_categories(name):
    right = overall_metrics(judged_pairs([(("A", "y", "1"), ("A", "y", "1")), (("B",), ("B",))]))
    wrong = overall_metrics(judged_pairs([(("A", "y", "1"), ("B",)), (("B",), ("A", "x"))]))
    if name == "contest_score":  # the tree has three levels
        assert name not in right
        return
    assert right[name] == 1
    # Predictions that are always wrong agree less with the labels than chance does.
    assert wrong[name] == (-0.5 if name == "matthews_correlation" else 0)


def test_labels_of_metrics():
    assert [metric_label(n) for n in ("macro_f1", "hierarchical_f1", "strict_accuracy")] == [
        "macro-F1",
        "hierarchical F1",
        "strict accuracy",
    ]


@pytest.mark.slow
def test_a_new_metric_is_in_reports(new_metric, trained, tmp_path):
    found = aisle.evaluate(trained.model, trained.catalog.select(np.arange(40)))
    found.write(tmp_path)
    value = json.loads((tmp_path / "report.json").read_text())["model"]["overall"][NEW]
    assert 0 < value <= 1
    assert "level share" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_a_new_metric_is_in_comparisons(new_metric, trained):
    variants = [Variant(name, load_recipe("fast")) for name in ("one", "other")]
    found = compare(trained.catalog, variants, folds=2)
    assert {row.name: row.metrics[NEW] == found.rows[0].metrics[NEW] for row in found.rows} == {
        "one": True,
        "other": True,
    }
    assert "| level share |" in found.markdown()
    assert "level share" in found.html()


@pytest.mark.slow
def test_a_new_metric_is_in_the_training_log_and_may_stop_a_stage(new_metric, trained, tmp_path):
    changes = ["stages.0.epochs=2", f"stages.0.metric={NEW}", "split.validation=0.3"]
    aisle.train(trained.catalog, NETWORK, changes=changes, out=tmp_path / "run")
    header, *lines = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert NEW in header.split(",")
    assert len(lines) == 2
