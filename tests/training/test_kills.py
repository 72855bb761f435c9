"""SIGKILL at any instant: what is resumed ends with the very bytes of a run that nobody disturbed."""

import csv
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from aisle.training.recipe import load_recipe
from aisle.training.recipe_toml import to_toml
from tests.models.pretrained import tiny_text, tiny_vision
from tests.training.shop import PLACES, products, recipe

pytestmark = pytest.mark.slow

KILLS = 20
TRIES = 60
ROOT = Path(__file__).parents[2]
QUICK = {"batch_size": 16, "lr": 0.01}
LINEAR = {"fusion": {"type": "LinearFusion", "dim": 32}, "head": {"type": "TreeHead", "norm": False}}


class Mortal:
    """Runs of `aisle train`, each a process of its own that can be killed."""

    def __init__(self, arguments, log):
        self.arguments, self.log = arguments, log
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.training.mortal"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def run(self, out, wait=None):
        """Train into `out`, killed as soon as `wait(out)` returns true; -> the exit code, -9 if killed."""
        self.process.stdin.write(json.dumps([*self.arguments, "--out", str(out), "--resume"]) + "\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        if wait is not None and wait(out):
            with suppress(ProcessLookupError):  # it ended just now
                os.kill(child, signal.SIGKILL)
        return int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


def after(seconds):
    def wait(out):
        threading.Event().wait(seconds)  # a random instant, not a condition
        return True

    return wait


def until(seen, most=60):
    """Look without rest until `seen(out)`."""

    def wait(out):
        end = time.monotonic() + most
        while time.monotonic() < end and not (out / "model" / "aisle.json").exists():
            if seen(out):
                return True
        return False

    return wait


def writing_checkpoint(out):
    return (out / "checkpoint.part").exists()


def writing_bundle(out):
    return any(out.glob(".model.*.part"))


def between_stages(out):
    try:
        state = torch.load(out / "checkpoint.pt", weights_only=True)
    except FileNotFoundError:
        return False
    return state["now"] is None and state["stage"] == 1


def outcome(out):
    """Every file of the bundle, and the table of metrics without the seconds."""
    files = {str(f.relative_to(out)): f.read_bytes() for f in (out / "model").rglob("*") if f.is_file()}
    with (out / "metrics.csv").open() as file:
        table = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    return files, table


def two_stages(home):
    """Words and pictures one after the other, with a loss that learns a parameter of its own."""
    views = {
        "title": {"encoder": {"type": "TfidfEncoder", "dim": 16, "min_df": 1}},
        "image": {"encoder": {"type": "ConvEncoder", "size": 32, "dim": 16}},
    }
    stages = [
        {**QUICK, "name": "text", "freeze": ["image"], "epochs": 4},
        {
            **QUICK,
            "name": "both",
            "epochs": 5,
            "ema_decay": 0.9,
            "patience": 3,
            "gradient_accumulation_steps": 2,
        },
    ]
    losses = [{"type": "CrossEntropyLoss"}, {"type": "ContrastiveLoss", "weight": 0.5}]
    return recipe(views=views, stages=stages, losses=losses)


def encoders(home):
    """Pretrained encoders: kept features, then adapters and a whole encoder learned."""
    words = [word for words, _ in PLACES.values() for word in words.split()]
    text = {"type": "TransformerTextEncoder", "name": str(tiny_text(home / "text", words)), "max_length": 16}
    image = {"type": "TransformerImageEncoder", "name": str(tiny_vision(home / "vision", 32)), "size": 32}
    views = {
        "title": {"encoder": text, "finetune": {"lora_rank": 2}},
        "image": {"encoder": image, "freeze": True},
    }
    stages = [
        {**QUICK, "name": "still", "freeze": ["title"], "epochs": 3, "lr": 0.01},
        {**QUICK, "name": "deep", "epochs": 3},
    ]
    return recipe(views=views, stages=stages, **LINEAR)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Sixty products as a file, their pictures beside it."""
    home = tmp_path_factory.mktemp("shop")
    with (home / "products.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "title", "image", "category"])
        for product in products(60):
            (home / f"{product.id}.png").write_bytes(product.images[0].data)
            path = " > ".join(product.categories[0])
            rows.writerow([product.id, product.fields["title"], f"{product.id}.png", path])
    return home / "products.csv"


@pytest.mark.parametrize("kind", [two_stages, encoders])
def test_killed_at_any_instant_it_resumes_to_the_same_bytes(kind, table, tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text(to_toml(load_recipe(kind(tmp_path))))
    arguments = ["train", str(table), "--recipe", str(file), "--quiet", "--device", "cpu", "--track", "none"]
    numbers = itertools.count()

    def folder():
        return tmp_path / f"run{next(numbers)}"

    with tempfile.TemporaryFile("w+") as log:
        mortal = Mortal(arguments, log)

        def finished(out):
            code = mortal.run(out)
            log.seek(0)
            assert code == 0, log.read()
            return outcome(out)

        def killed(wait, left):
            """A folder that was left as asked for by a killed run."""
            for _ in range(TRIES):
                out = folder()
                if mortal.run(out, wait) == -signal.SIGKILL and left(out):
                    return out
            raise AssertionError(f"never killed as {left.__name__} asks")

        try:
            whole = finished(folder())
            started = time.monotonic()
            assert finished(folder()) == whole
            lasted = time.monotonic() - started
            for left in (writing_checkpoint, between_stages, writing_bundle):
                assert finished(killed(until(left), left)) == whole, left.__name__
            rng, kills = random.Random(0), 0
            for _ in range(3 * KILLS):
                out, moment = folder(), rng.uniform(0, lasted)
                kills += mortal.run(out, after(moment)) == -signal.SIGKILL
                assert finished(out) == whole, f"killed after {moment:.3f} of {lasted:.3f} s"
                if kills == KILLS:
                    break
            assert kills == KILLS
        finally:
            mortal.close()
