"""One small shop and one model trained on it, shared by all tests that only look at them."""

import os
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

# Before torch is imported: tests fork, and a fork of a process whose OpenMP has threads waits for them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# First of what imports torch: where timm is, torchvision is, and transformers must not import that first.
from tests.timm_extra import WHY_NOT

# `fast`, cut down to what a test needs.
QUICK = (
    "views.image.size=32",
    "split.validation=0.1",
    "guarantee.precision=0.6",
    "split.threshold=0.2",
)
# A network over the same views, trained for a moment. Products are remembered by a frozen view.
NETWORK = {
    "name": "network",
    "views": {
        "text": {"fields": ["title", "description"], "encoder": {"type": "TfidfEncoder", "dim": 64}},
        "title": {"fields": ["title"], "freeze": True, "encoder": {"type": "TfidfEncoder", "dim": 64}},
        "image": {"encoder": {"type": "ConvEncoder", "size": 32, "dim": 32}},
    },
    "fusion": {"type": "LinearFusion", "dim": 64},
    "head": {"type": "TreeHead", "norm": False},
    "losses": [{"type": "CrossEntropyLoss", "label_smoothing": 0.1}, {"type": "PerViewLoss", "weight": 2.0}],
    "stages": [{"epochs": 3, "lr": 0.005}],
    "label_name_examples": True,
    "split": {"validation": 0.1, "threshold": 0.2},
    "guarantee": {"precision": 0.6},
}


class Trained(NamedTuple):
    """A finished run: its folder, the catalogue it learned from, and the predictor as it was returned."""

    run: Path
    catalog: object
    model: object


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Nothing a test computes lands in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AISLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """A sample shop of 240 products."""
    from aisle.data.demo import make_shop

    return make_shop(tmp_path_factory.mktemp("shop"), 240)


@pytest.fixture(scope="session")
def trained(shop, tmp_path_factory):
    """`fast`, trained for a moment on the sample shop and judged on its test rows."""
    import aisle
    from aisle import workflow

    catalog = aisle.read(shop.products)
    run = tmp_path_factory.mktemp("runs") / "first"
    model = aisle.train(catalog, "fast", changes=QUICK, out=run)
    model, _ = workflow.report(model, catalog, run, baseline=False)
    return Trained(run, catalog, model)


@pytest.fixture
def typed(monkeypatch, capsys):
    """Type a command; (exit code, standard output, standard error)."""
    from aisle.cli import main

    def type_(*words):
        monkeypatch.setattr("sys.argv", ["aisle", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return type_


# No time limit for an example: a busy machine is no failure.
settings.register_profile("full", deadline=None)
settings.register_profile("quick", deadline=None)


def pytest_configure(config):
    settings.load_profile("quick" if "not slow" in config.option.markexpr else "full")


def pytest_runtest_setup(item):
    if WHY_NOT and item.get_closest_marker("timm"):
        pytest.skip(WHY_NOT)
