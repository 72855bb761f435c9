"""`torchrun --nproc-per-node 2 -m aisle train`: two processes learn what one learns from the same batches."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.training.shop import products

from ..waiting import wait_until

pytestmark = pytest.mark.slow

# What one process draws at random another cannot, so nothing is dropped. Some fifty rows to learn from and
# batches of 13: they part unevenly, and the last one is smaller.
RECIPE = """
view_dropout = 0.0
[views.title]
encoder = { type = "TfidfEncoder", dim = 16, min_df = 1 }
[views.description]
encoder = { type = "TfidfEncoder", dim = 16, min_df = 1 }
[fusion]
type = "GatedFusion"
dim = 16
dropout = 0.0
[head]
type = "TreeHead"
[[losses]]
type = "CrossEntropyLoss"
[[losses]]
type = "PerViewLoss"
weight = 0.5
[[losses]]
type = "ContrastiveLoss"
weight = 0.3
[[stages]]
epochs = 3
batch_size = 13
gradient_accumulation_steps = 2
lr = 0.01
[split]
validation = 0.1
calibration = 0.1
threshold = 0.1
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A catalogue with weights, and a recipe."""
    folder = tmp_path_factory.mktemp("torchrun")
    lines = ["id,title,description,sample_weight,category"]
    for i, product in enumerate(products(67, images=False)):
        words = product.fields["title"]
        said = "" if i % 5 == 0 else f"{words.split()[-2]} of {words.split()[0]}"
        lines.append(f"{product.id},{words},{said},{1 + i % 3},{' > '.join(product.categories[0])}")
    (folder / "shop.csv").write_text("\n".join(lines) + "\n")
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


def start(shop, out, processes, *more):
    words = ["-m", "aisle", "train", shop / "shop.csv", "--recipe", shop / "recipe.toml", "--out", out]
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes]
    command = [sys.executable, *(several if processes > 1 else []), *words, "--device", "cpu", *more]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        list(map(str, command)), env=env, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip


def train(shop, out, processes, *more):
    process = start(shop, out, processes, *more)
    said, told = process.communicate(timeout=500)
    assert process.returncode == 0, told
    return said


def weights(run):
    return load_file(run / "model" / "weights.safetensors")


def losses(run):
    return [line.split(",")[3] for line in (run / "metrics.csv").read_text().splitlines()[1:]]


@pytest.fixture(scope="module")
def two(shop):
    """A run of two processes, and what it said."""
    return shop / "two", train(shop, shop / "two", 2)


def test_two_processes_learn_what_one_learns(shop, two):
    train(shop, shop / "one", 1)
    one, other = weights(shop / "one"), weights(two[0])
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-3, atol=2e-5, err_msg=name)
    np.testing.assert_allclose(
        np.array(losses(two[0]), float), np.array(losses(shop / "one"), float), rtol=1e-5
    )


def test_only_the_first_process_writes_and_speaks(shop, two):
    run, said = two
    assert said.count("model ") == 1
    assert len(losses(run)) == 3
    left = [path.name for path in run.rglob("*") if path.name.endswith(".part")]
    assert not left
    data = json.loads((run / "data.json").read_text())
    assert data["rows"]["train"] % 13  # the last batch was uneven


def test_a_batch_smaller_than_the_processes_are_many_counts_too(shop):
    rows = json.loads((shop / "two" / "data.json").read_text())["rows"]["train"]
    batch = next(size for size in range(5, rows) if rows % size == 1)
    change = ("--set", f"stages.0.batch_size={batch}", "--set", "stages.0.epochs=1")
    train(shop, shop / "small2", 2, *change)
    train(shop, shop / "small1", 1, *change)
    one, other = weights(shop / "small1"), weights(shop / "small2")
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-3, atol=2e-5, err_msg=name)


def test_killed_it_goes_on_and_ends_as_if_undisturbed(shop, two):
    out = shop / "killed"
    process = start(shop, out, 2)
    wait_until(lambda: process.poll() is not None or (out / "checkpoint.pt").exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    train(shop, out, 2, "--resume")
    expected, found = weights(two[0]), weights(out)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_taken_folder_ends_all_processes(shop, two):
    process = start(shop, two[0], 2)
    _, told = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "already holds" in told
