"""What a run tells of itself: a table, a chart, TensorBoard, MLflow and W&B."""

import json
import sqlite3
from xml.etree import ElementTree

import pytest

import aisle
from aisle.training.run import Run
from aisle.training.tracking import TrackerError
from tests.training.shop import catalog, recipe
from tests.training.test_resume import Killed

from ..waiting import wait_until

STAGES = [
    {"name": "text", "freeze": ["fusion"], "views": ["title"], "epochs": 2, "batch_size": 30},
    {"name": "both", "epochs": 3, "batch_size": 30},
]


@pytest.fixture(scope="module")
def shop():
    return catalog(60)


def steps(run):
    """The step of the whole run after each epoch, as its table gives them."""
    lines = Run(run).history()
    ended = sum(line["stage"] == "text" for line in lines)
    first = int(lines[ended - 1]["step"])
    return [int(line["step"]) + (first if i >= ended else 0) for i, line in enumerate(lines)]


def test_tensorboard_and_the_chart_say_what_the_table_says(shop, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = tmp_path / "run"
    aisle.train(shop, recipe(stages=STAGES), out=run)
    events = accumulator.EventAccumulator(str(run / "tensorboard")).Reload()
    for tag, column in (("train/loss", "loss"), ("train/lr", "lr"), ("validation/level1", "level1")):
        told = events.Scalars(tag)
        assert [one.step for one in told] == steps(run)
        assert [one.value for one in told] == pytest.approx([float(x[column]) for x in Run(run).history()])
    drawn = ElementTree.parse(run / "curves.svg").getroot()
    shown = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"loss", "validation", "learning rate", "gradient norm", "full path", "training"} <= set(shown)
    lines = [line.get("points").split() for line in drawn.iter("{http://www.w3.org/2000/svg}polyline")]
    assert sum(len(line) == len(Run(run).history()) for line in lines) >= 4


def test_no_tracker_is_no_folder(shop, tmp_path):
    aisle.train(shop, recipe(stages=STAGES[:1]), out=tmp_path / "run", track=[])
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_an_unknown_tracker_or_one_that_is_not_installed_is_told_before_the_folder_is_made(
    shop, tmp_path, monkeypatch
):
    with pytest.raises(TrackerError, match=r"no tracker 'tensorbord'\. Did you mean 'tensorboard'"):
        aisle.train(shop, recipe(), out=tmp_path / "run", track=["tensorbord"])
    monkeypatch.setattr("aisle.training.tracking._installed", lambda name: False)
    with pytest.raises(TrackerError, match=r"pip install 'aisle\[mlflow\]'"):
        aisle.train(shop, recipe(), out=tmp_path / "run", track=["mlflow"])
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_mlflow_goes_on_in_the_same_run_when_it_is_resumed(shop, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setattr(mlflow, "_tracking_uri", None, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    run, save, count = tmp_path / "run", Run.save, 0

    def until_the_third(self, state):
        nonlocal count
        count += 1
        if count > 3:
            raise Killed
        save(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", until_the_third)
        with pytest.raises(Killed):
            aisle.train(shop, recipe(stages=STAGES), out=run, track=["mlflow"])
    aisle.train(shop, recipe(stages=STAGES), out=run, resume=True, track=["mlflow"])
    with sqlite3.connect(tmp_path / "mlflow.db") as db:
        (named,) = db.execute("select name, status from runs").fetchall()
        assert named == ("run", "FINISHED")
        told = db.execute("select step, value from metrics where key = 'train/loss' order by step").fetchall()
        rate = db.execute("select value from params where key = 'stages.1.lr'").fetchall()
    assert [step for step, _ in told] == steps(run)
    assert [value for _, value in told] == pytest.approx([float(x["loss"]) for x in Run(run).history()])
    assert rate == [("0.001",)]


@pytest.mark.slow
def test_wandb_offline_keeps_its_files_in_the_run(shop, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = tmp_path / "run"
    aisle.train(shop, recipe(stages=STAGES), out=run, track=["wandb"])
    ident = json.loads((run / "trackers.json").read_text())["wandb"]
    assert ident["logged"] == 5
    (kept,) = (run / "wandb").glob(f"offline-run-*/run-{ident['id']}.wandb")
    wait_until(lambda: b"train/loss" in kept.read_bytes())  # W&B's own process writes late
    assert b"validation/level1" in kept.read_bytes()
