"""A run's folder: what it was told, what it saw, how it went, where it stands, what came out.

recipe.toml     the resolved recipe            metrics.csv    one line an epoch
data.json       fingerprint and sizes          checkpoint.pt  the last whole epoch, until it ends
versions.json   Python and libraries           model/         the bundle
"""

import csv
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from aisle.errors import AisleError
from aisle.inference.bundle import MANIFEST
from aisle.model.model import Model
from aisle.training.loop import Epoch, State
from aisle.training.recipe import Recipe, load_recipe, to_toml

_LIBRARIES = ("aisle", "torch", "transformers", "tokenizers", "accelerate", "numpy", "pillow", "scikit-learn")

_FIRST = {"recipe.toml", "recipe.toml.part", "versions.json", "versions.json.part", "data.json.part"}


class RunError(AisleError):
    """A run's folder is taken, missing, or belongs to other data."""


class Run:
    """One training run in a folder. Everything is written beside and renamed: SIGKILL leaves whole files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def model(self) -> Path:
        """Where the bundle is."""
        return self.folder / "model"

    @property
    def finished(self) -> bool:
        """Whether the bundle is there and no checkpoint any more."""
        return (self.model / MANIFEST).exists() and not (self.folder / "checkpoint.pt").exists()

    def begin(self, recipe: Recipe, data: dict[str, Any], resume: bool) -> None:
        """Set the folder up, or check that it is the run to be resumed.

        Raises:
            RunError: the folder is taken (without `resume`), or was made with another recipe or other data.
        """
        seen = self.folder / "data.json"
        if resume and seen.exists():
            if json.loads(seen.read_text()) != data:
                raise RunError(
                    f"{self.folder} was trained on other rows; name a new folder, or the same catalogue"
                )
            if load_recipe(self.folder / "recipe.toml") != recipe:
                raise RunError(
                    f"{self.folder} was begun with another recipe; resume with {self.folder}/recipe.toml"
                )
            return
        if self.folder.is_file():
            raise RunError(f"{self.folder} is a file; name a folder for the run")
        there = {file.name for file in self.folder.iterdir()} if self.folder.exists() else set()
        if there - (_FIRST if resume else set()):  # a run killed while it set its folder up has but these
            advice = "" if resume else ", or pass --resume to continue it"
            raise RunError(f"{self.folder} already holds {min(there)}; name a new folder{advice}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._text("recipe.toml", to_toml(recipe))
            self._text("versions.json", json.dumps(_versions(), indent=1))
            self._text("data.json", json.dumps(data, indent=1))  # last: with it the folder is a run
        except OSError as error:
            raise RunError(f"{self.folder} cannot be written: {error.strerror or error}") from error

    def save(self, state: State) -> None:
        """Keep where training stands, and the history as a table."""
        beside = self.folder / "checkpoint.part"
        with beside.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self.folder / "checkpoint.pt")
        lines = [Epoch._fields, *state["history"]]
        self._text("metrics.csv", "".join(",".join(map(str, line)) + "\n" for line in lines))

    def state(self) -> State | None:
        """Where an interrupted run stands; None if it has not finished an epoch."""
        file = self.folder / "checkpoint.pt"
        return torch.load(file, map_location="cpu", weights_only=True) if file.exists() else None

    def history(self) -> list[dict[str, str]]:
        """The lines of `metrics.csv`."""
        file = self.folder / "metrics.csv"
        return list(csv.DictReader(file.read_text().splitlines())) if file.exists() else []

    def end(self) -> None:
        """The bundle is written: the checkpoint has served."""
        (self.folder / "checkpoint.pt").unlink(missing_ok=True)

    def _text(self, name: str, text: str) -> None:
        beside = self.folder / f"{name}.part"
        beside.write_text(text)
        beside.rename(self.folder / name)


class Journal:
    """Where a run stands among its stages: kept in its folder after every epoch, if it has one.

    stage: the number of the one under way; now: its state after its last whole epoch; model: the weights
    the stage before ended with; ended: those of stages that later ones start from.
    """

    def __init__(self, run: Run | None, later: set[str | None]) -> None:
        self.run, self.later = run, later
        state = (run.state() if run else None) or {}
        self.stage: int = state.get("stage", 0)
        self.now: State | None = state.get("now")
        self.model: State | None = state.get("model")
        self.ended: dict[str, State] = state.get("ended", {})
        self.history: list[list[Any]] = state.get("history", [])

    def epoch(self, now: State, metrics: Epoch) -> None:
        """A whole epoch is done."""
        self.now = now
        self.history.append(list(metrics))
        self._save()

    def end(self, name: str, model: Model) -> None:
        """A stage is done."""
        self.model = {k: v.clone() for k, v in model.learned().items()}
        if name in self.later:
            self.ended[name] = self.model
        self.stage, self.now = self.stage + 1, None
        self._save()

    def _save(self) -> None:
        if self.run:
            names = ("stage", "now", "model", "ended", "history")
            self.run.save({name: getattr(self, name) for name in names})


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
