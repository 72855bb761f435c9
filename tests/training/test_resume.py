"""A run that was interrupted ends with the very same weights as one that was not."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import aisle
from aisle.errors import AisleError
from aisle.training.recipe import load_recipe
from aisle.training.recipe_toml import to_toml
from aisle.training.run import Run, RunError
from tests.conftest import NETWORK
from tests.training.shop import catalog, recipe
from tests.training.watching import train_watched
from tests.waiting import wait_until

STAGES = [
    {
        "name": "text",
        "freeze": ["image", "fusion"],
        "views": ["title"],
        "epochs": 2,
        "batch_size": 16,
        "lr": 0.01,
    },
    {
        "name": "both",
        "init_from": "text",
        "epochs": 3,
        "batch_size": 16,
        "gradient_accumulation_steps": 2,
        "ema_decay": 0.9,
        "patience": 2,
    },
]


class Killed(BaseException):
    """As a signal would: nothing catches it."""


@pytest.fixture(scope="module")
def shop():
    return catalog(60)


def weights(run):
    return (Path(run) / "model" / "weights.safetensors").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(shop, tmp_path_factory):
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    aisle.train(shop, recipe(stages=STAGES), out=run)
    return run


def train_until(monkeypatch, shop, out, saves, before=False, given=None):
    """Train, killed after (or just before) so many checkpoints."""
    count = 0
    original = Run.save

    def save(self, state):
        nonlocal count
        count += 1
        if before and count > saves:
            raise Killed
        original(self, state)
        if not before and count == saves:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", save)
        with pytest.raises(Killed):
            aisle.train(shop, given or recipe(stages=STAGES), out=out, resume=out.exists())


# Checkpoints: two epochs, the first stage's end, three epochs, the second stage's end.
@pytest.mark.parametrize("saves", [1, 4, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3, 6, 7))])
def test_resumed_after_any_checkpoint_it_ends_bit_identical(shop, undisturbed, tmp_path, monkeypatch, saves):
    run = tmp_path / "run"
    train_until(monkeypatch, shop, run, saves)
    assert not (run / "model").exists()
    aisle.train(shop, recipe(stages=STAGES), out=run, resume=True)
    assert weights(run) == weights(undisturbed)
    assert not (run / "checkpoint.pt").exists()


@pytest.mark.slow
def test_interrupted_again_and_again_it_ends_bit_identical(shop, undisturbed, tmp_path, monkeypatch):
    run = tmp_path / "run"
    for _ in range(4):
        train_until(monkeypatch, shop, run, 1, before=True)
    aisle.train(shop, recipe(stages=STAGES), out=run, resume=True)
    assert weights(run) == weights(undisturbed)
    lines = (run / "metrics.csv").read_text().splitlines()
    expected = (undisturbed / "metrics.csv").read_text().splitlines()
    assert [line.rsplit(",", 1)[0] for line in lines] == [line.rsplit(",", 1)[0] for line in expected]


def test_killed_between_two_stages_what_a_loss_has_learned_is_not_lost(shop, tmp_path, monkeypatch):
    quick = {"epochs": 1, "batch_size": 16, "lr": 0.1}
    own = [{"type": "CrossEntropyLoss"}, {"type": "ContrastiveLoss", "weight": 0.5}]  # learns its temperature
    given = recipe(losses=own, stages=[{"name": "one", **quick}, {"name": "two", **quick}])
    aisle.train(shop, given, out=tmp_path / "whole", track=[])
    train_until(monkeypatch, shop, tmp_path / "run", 2, given=given)
    assert Run(tmp_path / "run").state()["now"] is None
    aisle.train(shop, given, out=tmp_path / "run", resume=True, track=[])
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_a_full_disk_ends_training_and_the_checkpoint_before_stays_whole(shop, undisturbed, tmp_path):
    resource = pytest.importorskip("resource")
    run, said = tmp_path / "run", []
    original = Run.save

    def save(self, state):
        said.append(state["history"])
        if len(said) < 3:
            return original(self, state)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))  # as a disk that fills up
        try:
            return original(self, state)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "save", save)
        with pytest.raises(RunError, match=r"checkpoint\.pt cannot be written: .*--resume") as told:
            aisle.train(shop, recipe(stages=STAGES), out=run, track=[])
    assert "\n" not in str(told.value)
    assert not list(run.glob("*.part"))
    assert len(Run(run).state()["history"]) == 2
    aisle.train(shop, recipe(stages=STAGES), out=run, resume=True, track=[])
    assert weights(run) == weights(undisturbed)


def test_a_run_killed_while_its_folder_was_set_up_resumes(shop, undisturbed, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.toml").write_text("half a reci")
    with pytest.raises(RunError, match="pass --resume"):
        aisle.train(shop, recipe(stages=STAGES), out=run)
    aisle.train(shop, recipe(stages=STAGES), out=run, resume=True)
    assert weights(run) == weights(undisturbed)


def test_a_finished_run_is_not_trained_again(shop, undisturbed):
    model, starts = train_watched(shop, recipe(stages=STAGES), out=undisturbed, resume=True)
    assert starts == {}
    assert model.model_id == aisle.load(undisturbed).model_id


def test_the_same_changes_are_said_again_when_resuming(shop, tmp_path):
    """`views.image=false` has left the table out of the run's own recipe already."""
    changes = ["views.image=false", "seed=3"]
    aisle.train(shop, recipe(), changes=changes, out=tmp_path / "run")
    again = aisle.train(shop, None, changes=changes, out=tmp_path / "run", resume=True)
    assert again.views == ("title",)


def test_other_data_another_recipe_or_a_taken_folder_are_refused(shop, undisturbed, tmp_path):
    with pytest.raises(RunError, match="trained on other rows"):
        aisle.train(catalog(55), recipe(stages=STAGES), out=undisturbed, resume=True)
    with pytest.raises(RunError, match="another recipe"):
        aisle.train(shop, recipe(), out=undisturbed, resume=True)
    with pytest.raises(RunError, match="already holds"):
        aisle.train(shop, recipe(stages=STAGES), out=undisturbed)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    with pytest.raises(RunError, match=r"already holds chapter1\.txt"):
        aisle.train(shop, recipe(stages=STAGES), out=tmp_path / "thesis", resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        aisle.train(shop, recipe(stages=STAGES), out=tmp_path / "file")


def test_a_runs_folder_says_what_it_was_told_and_how_it_went(undisturbed):
    from aisle.training.recipe import load_recipe

    assert load_recipe(undisturbed / "recipe.toml") == load_recipe(recipe(stages=STAGES))
    history = Run(undisturbed).history()
    assert [(line["stage"], line["epoch"]) for line in history] == [
        *(("text", str(i)) for i in range(2)),
        *(("both", str(i)) for i in range(3)),
    ]
    assert float(history[-1]["loss"]) < float(history[0]["loss"])
    assert {f.name for f in undisturbed.iterdir()} - {"reference.npz"} == {
        "recipe.toml", "catalog.json", "versions.json", "data.json", "metrics.csv",
        "curves.svg", "tensorboard", "model", "labelled_scores.npz",
    }  # fmt: skip


@pytest.mark.slow
def test_the_command_killed_between_epochs_resumes_to_the_same_bytes(shop, tmp_path):
    from aisle.data.demo import make_shop

    source = make_shop(tmp_path / "shop", 200).products
    file = tmp_path / "network.toml"
    file.write_text(to_toml(load_recipe(NETWORK, ["stages.0.epochs=6"])))
    command = [
        sys.executable,
        "-m",
        "aisle",
        "train",
        str(source),
        "--quiet",
        "--no-baseline",
        "--recipe",
        str(file),
        "--out",
    ]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    for epochs in (1, 2, 4):
        process = subprocess.Popen([*command, str(tmp_path / "killed"), "--resume"], stderr=subprocess.PIPE)
        wait_until(lambda n=epochs, p=process: p.poll() is not None or measured(tmp_path / "killed") >= n)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    subprocess.run([*command, str(tmp_path / "killed"), "--resume"], check=True)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


def measured(run):
    """How many epochs a run has measured so far."""
    file = run / "metrics.csv"
    return len(file.read_text().splitlines()) - 1 if file.exists() else 0


def test_what_failed_before_anything_was_learned_is_no_obstacle(tmp_path):
    wrong = recipe(
        views={"title": {"encoder": {"type": "TransformerTextEncoder", "name": str(tmp_path / "none")}}}
    )
    with pytest.raises(AisleError, match="none"):
        aisle.train(catalog(20), wrong, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    for loss, why in (
        ({"type": "FocalLoss", "gamma": -1}, "gamma"),
        ({"type": "ContrastiveLoss"}, "shared space"),
    ):
        wrong_loss = recipe(losses=[loss], fusion={"type": "ConcatFusion", "dim": 8})
        with pytest.raises(AisleError, match=why):  # found out after trackers began
            aisle.train(catalog(20), wrong_loss, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()
    aisle.train(catalog(20), recipe(), out=tmp_path / "run")
    with pytest.raises(AisleError, match="none"):  # a finished run is not touched
        aisle.train(catalog(20), wrong, out=tmp_path / "run", resume=True)
    assert aisle.load(tmp_path / "run").views == ("title", "image")
