"""Schedule, clipping, seeds and early stopping, each against its own formula."""

import math

import numpy as np
import pytest
import torch

import aisle
from aisle.errors import RecipeError
from aisle.training.fit import split_rows
from aisle.training.network_recipe import Stage
from aisle.training.optim import lr_factor
from aisle.training.recipe import load_recipe
from aisle.training.run import Run
from tests.training.shop import catalog, recipe
from tests.training.test_stages import snapshots

WORDS = {"title": {"encoder": {"type": "TfidfEncoder", "dim": 8, "min_df": 1}}}
ALL = {"validation": 0, "calibration": 0, "threshold": 0}


@pytest.fixture(scope="module")
def shop():
    return catalog(60, images=False)


def train(shop, out, stage, **more):
    model = aisle.train(shop, recipe(views=WORDS, stages=[stage], **more), out=out, track=[])
    return model, Run(out).history()


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_rate_rises_then_falls_as_the_formula_says(shop, tmp_path, schedule):
    stage = {"epochs": 10, "batch_size": 60, "lr": 0.02, "warmup": 0.3, "schedule": schedule}
    _, history = train(shop, tmp_path / "run", stage, split=ALL)
    falling = {
        "cosine": lambda x: 0.5 * (1 + math.cos(math.pi * x)),
        "linear": lambda x: 1 - x,
        "constant": lambda x: 1.0,
    }[schedule]
    expected = [0.02 * (s + 1) / 4 if s < 3 else 0.02 * falling((s - 3) / 7) for s in range(10)]
    assert [int(line["step"]) for line in history] == list(range(1, 11))
    np.testing.assert_allclose([float(line["lr"]) for line in history], expected)


@pytest.mark.parametrize("clip", [1e-3, 1e9])
def test_a_step_is_no_longer_than_the_clipped_gradient(shop, tmp_path, clip):
    stage = {
        "epochs": 1,
        "batch_size": 60,
        "optimizer": "SGD",
        "lr": 0.5,
        "weight_decay": 0,
        "max_grad_norm": clip,
    }
    stage |= {"warmup": 0, "schedule": "constant"}
    ((before, after),) = snapshots(shop, [stage], views=WORDS, split=ALL, view_dropout=0.0)
    moved = math.sqrt(sum(float((after[k] - before[k]).pow(2).sum()) for k in before))
    _, history = train(shop, tmp_path / "run", stage, split=ALL, view_dropout=0.0)
    norm = float(history[0]["grad_norm"])
    assert 1e-2 < norm < 1e3
    assert moved == pytest.approx(0.5 * min(norm, clip), rel=1e-3)


def test_one_seed_gives_one_network_and_another_seed_another(shop):
    made = {}
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        torch.manual_seed(len(made))  # whatever came before
        model = aisle.train(shop, recipe(views=WORDS, seed=seed, split=ALL))
        made[name] = model.score(shop).all()
    assert np.array_equal(made["first"], made["again"])
    assert not np.allclose(made["first"], made["other"])


@pytest.mark.parametrize("metric", ["nll", "accuracy", "macro_f1", "hierarchical_f1", "level2"])
def test_it_stops_by_the_metric_that_is_named_and_keeps_the_best(shop, tmp_path, metric):
    parts = {"validation": 0.3, "calibration": 0, "threshold": 0}
    stage = {
        "epochs": 40,
        "batch_size": 8,
        "lr": 0.1,
        "patience": 2,
        "metric": metric,
        "schedule": "constant",
    }
    model, history = train(shop, tmp_path / "run", stage, split=parts)
    sign = -1 if metric == "nll" else 1
    values = [sign * float(line[metric]) for line in history]
    best = int(np.argmax(values))
    assert len(history) == best + 1 + 2 < 40
    rows = shop.select(split_rows(shop, shop.targets(), load_recipe(recipe(split=parts))).validation)
    target = rows.targets()
    tree, scores = model.taxonomy, model.score(rows)
    nodes = np.array([tree.index(rows.taxonomy.nodes[node].path) for node in target.node])
    if metric == "nll":
        logp = scores.all()[np.arange(len(nodes)), tree.terminal_of[nodes]]
        assert float(-logp.mean()) == pytest.approx(-values[best], rel=1e-4)
    elif metric == "level2":
        deep = tree.node_depth[nodes] >= 2
        found = tree.ancestors[scores.topk(1).node[:, 0], 1]
        assert float((found == tree.ancestors[nodes, 1])[deep].mean()) == pytest.approx(values[best])
    elif metric == "accuracy":
        assert float((scores.topk(1).node[:, 0] == nodes).mean()) == pytest.approx(values[best])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["stages.0.metric=acuracy"], "no metric 'acuracy'.* Did you mean 'accuracy'"),
        (["stages.0.metric=level0"], "no metric 'level0'"),
        (["stages.0.patience=2", "split.validation=0"], r"no validation rows.*split\.validation = 0\.05"),
        (["stages.0.patience=2", "stages.0.metric=level7"], "level7.* 3 levels"),
    ],
)
def test_a_metric_that_cannot_be_counted_is_told_at_once(shop, changes, message, tmp_path):
    with pytest.raises(RecipeError, match=message) as caught:
        aisle.train(shop, recipe(views=WORDS), changes=changes, out=tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_it_stops_once_a_target_is_reached_and_keeps_those_weights(shop, tmp_path):
    parts = {"validation": 0.3, "calibration": 0, "threshold": 0}
    stage = {"epochs": 40, "batch_size": 8, "lr": 0.01, "schedule": "constant", "stop_at": 0.6}
    _, history = train(shop, tmp_path / "run", stage, split=parts)
    values = [float(line["accuracy"]) for line in history]
    assert len(values) < 40
    assert values[-1] >= 0.6
    assert max(values[:-1], default=0.0) < 0.6
    with pytest.raises(RecipeError, match=r"split\.validation"):
        aisle.train(shop, recipe(views=WORDS), changes=["stages.0.stop_at=0.9", "split.validation=0"])


def test_the_learning_rate_starts_anew_at_each_cycle():
    stage = Stage(schedule="cosine-restarts", cycles=4, warmup=0.0)
    rates = [lr_factor(stage, step, 40) for step in range(40)]
    assert [rates[step] for step in (0, 10, 20, 30)] == pytest.approx([1.0] * 4)
    assert [rates[step] for step in (5, 15, 25, 35)] == pytest.approx([0.5] * 4)
    assert rates[:10] == pytest.approx(rates[30:])
    assert max(rates[9], rates[39]) < 0.03
