"""One trainer a run: a second one is refused while the first is at work, and not once it has ended."""

import signal
import subprocess
import sys
from contextlib import suppress

import pytest

import aisle
from aisle.errors import AisleError
from aisle.training.recipe import load_recipe
from aisle.training.recipe_toml import to_toml
from aisle.training.run import RunError
from tests.training.shop import catalog, products, recipe

QUICK = [{"epochs": 3, "batch_size": 16, "lr": 0.01}]


class During:
    """Progress that does something once, while a network is being trained."""

    def __init__(self, act):
        self.act = act

    def __call__(self, label, *_, **__):
        if label.startswith("training") and self.act is not None:
            act, self.act = self.act, None
            act()
        return aisle.progress.SILENT(label)

    def say(self, message):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("resume", [False, True])
def test_a_second_trainer_is_refused_and_the_first_ends_as_if_alone(resume, tmp_path):
    shop, run = catalog(40), tmp_path / "run"
    refused = []

    def second():
        with pytest.raises(RunError, match=r"another process trains in .*run; wait until it ends") as told:
            aisle.train(shop, recipe(stages=QUICK), out=run, resume=resume, track=[])
        refused.append("\n" not in str(told.value))

    aisle.train(shop, recipe(stages=QUICK), out=run, track=[], progress=During(second))
    assert refused == [True]
    aisle.train(shop, recipe(stages=QUICK), out=tmp_path / "alone", track=[])
    one, other = (home / "model" / "weights.safetensors" for home in (run, tmp_path / "alone"))
    assert one.read_bytes() == other.read_bytes()
    again = aisle.train(shop, recipe(stages=QUICK), out=run, resume=True, track=[])  # it has ended
    assert again.model_id == aisle.load(run).model_id


def test_a_trainer_that_failed_holds_its_run_no_longer(tmp_path):
    def fail():
        raise MemoryError("as the system would")

    with pytest.raises(MemoryError):
        aisle.train(catalog(40), recipe(stages=QUICK), out=tmp_path / "run", track=[], progress=During(fail))
    aisle.train(catalog(40), recipe(stages=QUICK), out=tmp_path / "run", resume=True, track=[])
    assert aisle.load(tmp_path / "run").views == ("title", "image")


@pytest.fixture
def files(tmp_path):
    """A catalogue and a recipe as files."""
    lines = ["id,title,category"]
    lines += [f"{p.id},{p.fields['title']},{' > '.join(p.categories[0])}" for p in products(40, images=False)]
    (tmp_path / "shop.csv").write_text("\n".join(lines) + "\n")
    given = recipe(stages=[{"epochs": 4000, "batch_size": 16, "lr": 0.01}])
    given["views"].pop("image")
    (tmp_path / "mine.toml").write_text(to_toml(load_recipe(given)))
    return tmp_path


@pytest.fixture
def trainer(files):
    """A process that trains for long, once it has kept its first epochs."""
    words = ["train", "shop.csv", "--recipe", "mine.toml", "--out", "run", "--track", "none", "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-m", "aisle", *words], cwd=files, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not (files / "run" / "metrics.csv").exists():
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    yield process, words
    process.kill()
    process.communicate()


@pytest.mark.slow  # whole processes start
def test_interrupted_it_says_how_to_go_on_and_ends_with_130(files, trainer):
    process, words = trainer
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert told == f"interrupted: continue with aisle {' '.join(words)} --resume\n"


@pytest.mark.slow  # whole processes start
def test_a_second_command_is_refused_in_one_line_until_the_first_is_killed(
    files, trainer, typed, monkeypatch
):
    process, words = trainer
    monkeypatch.chdir(files)
    code, _, told = typed(*words, "--resume")
    assert (code, told) == (
        2,
        "error: another process trains in run; wait until it ends, or name a new folder\n",
    )
    process.kill()
    process.wait()
    quick = recipe(stages=[{"epochs": 1, "batch_size": 16}])
    with pytest.raises(AisleError, match="another recipe"):  # the folder itself is free
        aisle.train(aisle.read("shop.csv"), quick, out="run", resume=True, track=[])


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("train", "nothere.csv", "--out", "used"), "used already holds notes.txt"),
        (("train", "nothere.csv", "--out", "file"), "file is a file"),
        (("train", "nothere.csv", "--out", "used", "--resume"), "used already holds notes.txt"),
        (("compare", "nothere.csv", "fast", "--out", "file"), "file is a file"),
        (("ensemble", "nothere", "--on", "nothere.csv", "--out", "used"), "used exists and holds something"),
        (("export", "nothere", "nothere.csv", "--onnx", "--out", "used"), "used exists and holds something"),
        (("cascade", "no", "no", "nothere.csv", "--out", "used"), "used exists and holds something"),
        (("index", "nothere", "nothere.csv", "--out", "used"), "used exists and is no index"),
    ],
)
def test_a_used_folder_is_refused_before_anything_is_read(command, why, tmp_path, typed, monkeypatch):
    """Nothing of what these commands would read is there: they would say that first."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    code, _, told = typed(*command)
    assert code == 2
    assert why in told
    assert len(told.splitlines()) == 1
    assert (tmp_path / "used" / "notes.txt").read_text() == "mine"


# -- losses and precision ----------------------------------------------------------------------------------


def test_each_loss_is_logged_without_its_weight(tmp_path):
    losses = [{"type": "CrossEntropyLoss"}, {"type": "ContrastiveLoss", "weight": 0.25}]
    said = []
    lines = During(None)
    lines.say = said.append
    aisle.train(
        catalog(40), recipe(stages=QUICK, losses=losses), out=tmp_path / "run", track=[], progress=lines
    )
    from aisle.training.run import Run

    history = Run(tmp_path / "run", track=[]).history()
    assert len(history) == 3
    for row in history:
        parts = float(row["loss.CrossEntropyLoss"]), float(row["loss.ContrastiveLoss"])
        assert float(row["loss"]) == pytest.approx(parts[0] + 0.25 * parts[1], rel=1e-4)
        assert parts[0] != parts[1]
    last = history[-1]
    assert [line for line in said if line.startswith("train: epoch")][-1] == (
        f"train: epoch 3 of 3, loss {float(last['loss']):.4g} "
        f"(CrossEntropyLoss {float(last['loss.CrossEntropyLoss']):.4g}, "
        f"ContrastiveLoss {float(last['loss.ContrastiveLoss']):.4g})"
    )


def test_two_losses_of_one_kind_are_told_apart(tmp_path):
    losses = [{"type": "CrossEntropyLoss"}, {"type": "CrossEntropyLoss", "label_smoothing": 0.2}]
    aisle.train(catalog(40), recipe(stages=QUICK, losses=losses), out=tmp_path / "run", track=[])
    header = (tmp_path / "run" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert [name for name in header if name.startswith("loss")] == [
        "loss", "loss.CrossEntropyLoss_0", "loss.CrossEntropyLoss_1",
    ]  # fmt: skip


@pytest.mark.slow
def test_bf16_learns_on_the_cpu_and_what_is_learned_answers_in_full_precision(tmp_path):
    shop = catalog(60)
    made = {}
    for name in ("fp32", "bf16"):
        run = tmp_path / name
        given = {"changes": [f"precision={name}"], "device": "cpu", "track": []}
        made[name] = aisle.train(shop, recipe(stages=QUICK), out=run, **given)
        loaded = aisle.load(run)
        assert (loaded.score(shop).all() == made[name].score(shop).all()).all()
    assert (made["fp32"].score(shop).all() != made["bf16"].score(shop).all()).any()
    plain = aisle.train(shop, recipe(stages=QUICK), device="cpu")
    assert (plain.score(shop).all() == made["fp32"].score(shop).all()).all()  # by default


@pytest.mark.parametrize(
    ("precision", "why"),
    [("fp16", "fp16 needs a CUDA GPU, not cpu: use fp32 or bf16"), ("fp8", "'fp32', 'bf16' or 'fp16'")],
)
def test_a_precision_that_cannot_be_is_refused_before_anything_is_written(precision, why, files, typed):
    words = [
        "train",
        files / "nothere.csv",
        "--recipe",
        files / "mine.toml",
        "--out",
        files / "run",
        "--device",
        "cpu",
    ]  # said before it is read
    code, _, told = typed(*words, "--precision", precision)
    assert code == 2
    assert why in told
    assert not (files / "run").exists()


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), "fp32"), ((6, 0), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")]
)
def test_the_default_goes_by_compute_capability_and_not_by_emulation(capability, expected, monkeypatch):
    """No such GPU is here: the system's answers about it stand in."""
    import torch

    from aisle.models.devices import DeviceError, precision_of

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    device = torch.device("cuda")
    assert precision_of(None, device) == expected
    assert precision_of("fp16", device) == "fp16"
    if expected == "fp32":
        with pytest.raises(DeviceError, match=r"needs compute capability 8\.0.*use fp16 or fp32"):
            precision_of("bf16", device)
