"""A run's folder: what it was told, what it saw, how it went, where it stands, what came out.

recipe.toml     the resolved recipe            metrics.csv    one line an epoch
data.json       fingerprint and sizes          curves.svg     the same as a chart
catalog.json    which column holds what
versions.json   Python and libraries           tensorboard/   the same, where TensorBoard is installed
checkpoint.pt   the last whole epoch, until it ends           model/  the bundle
"""

import contextlib
import csv
import io
import json
import os
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.data.catalog_format import CatalogFormat
from aisle.errors import AisleError
from aisle.inference.folder import MANIFEST, lock_folder, recover
from aisle.progress import SILENT, Progress
from aisle.training import processes
from aisle.training.curves import draw
from aisle.training.recipe import AnyRecipe, difference, load_recipe, to_toml
from aisle.training.tracking import Trackers, chosen

if TYPE_CHECKING:
    from torch import nn

    from aisle.models.model import Model
    from aisle.training.loop import Epoch

State = dict[str, Any]
_LIBRARIES = ("aisle", "torch", "transformers", "tokenizers", "numpy", "pillow", "scikit-learn")
_DRAWN_EVERY = 30.0  # seconds at least between two pictures of a run under way

_FIRST = {
    *("recipe.toml", "recipe.toml.part", "versions.json", "versions.json.part", "data.json.part"),
    *("catalog.json", "catalog.json.part"),
}


class RunError(AisleError):
    """A run's folder is taken, missing, cannot be written, or belongs to other data."""


class Run:
    """One training run in a folder. Everything is written beside and renamed: SIGKILL leaves whole files.

    track: names of trackers, see `aisle.training.tracking`.

    Raises:
        TrackerError: there is no such tracker, or its package is missing.
    """

    def __init__(self, folder: Path, track: Sequence[str] | None = None, progress: Progress = SILENT) -> None:
        self.folder, self.progress = folder, progress
        self.writes = processes.first()  # of several processes, one
        self.trackers = Trackers(chosen(track) if self.writes else (), folder, progress)
        self._drawn = time.monotonic()
        self._made = False
        self._lock = contextlib.ExitStack()

    @property
    def model(self) -> Path:
        """Where the bundle is."""
        return self.folder / "model"

    @property
    def finished(self) -> bool:
        """Whether the bundle is there and no checkpoint any more."""
        return (self.model / MANIFEST).exists() and not (self.folder / "checkpoint.pt").exists()

    def check(self, resume: bool) -> None:
        """Whether `begin` will take this folder, as far as that can be told without the rows.

        Raises:
            RunError: the folder is taken (without `resume`), or another process trains in it.
        """
        if not self.writes:
            return
        if self.folder.exists() and not self.folder.is_dir():
            raise RunError(f"{self.folder} is a file; name a folder for the run")
        if self.folder.exists():
            with contextlib.ExitStack() as stack:
                self._hold(stack)
        if not (resume and (self.folder / "data.json").exists()):
            self._check_vacant(resume)

    def _check_vacant(self, resume: bool) -> None:
        there = {file.name for file in self.folder.iterdir()} if self.folder.exists() else set()
        if there - (_FIRST if resume else set()):  # a run killed while it set its folder up has but these
            advice = "" if resume else ", or pass --resume to continue it"
            raise RunError(f"{self.folder} already holds {min(there)}; name a new folder{advice}")

    def _hold(self, stack: contextlib.ExitStack) -> None:
        try:
            stack.enter_context(lock_folder(self.folder, wait=False))
        except BlockingIOError:
            raise RunError(
                f"another process trains in {self.folder}; wait until it ends, or name a new folder"
            ) from None
        except OSError:  # a file system without locks
            return

    def begin(self, recipe: AnyRecipe, data: dict[str, Any], resume: bool, written: CatalogFormat) -> None:
        """Set the folder up, or check that it is the run to be resumed. Until `release`, no other process
        trains in it. written: how the catalog is written.

        Raises:
            RunError: the folder is taken (without `resume`), another process trains in it, or it was made
                with another recipe or other data.
        """
        seen = self.folder / "data.json"
        if not self.writes:
            return
        self.check(resume)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.folder} cannot be written: {error.strerror or error}") from error
        self._hold(self._lock)
        if resume and seen.exists():
            self._check(recipe, json.loads(seen.read_text()), data)
            recover(self.model)
            for left in self.folder.glob("*.part"):  # of a writer that was killed
                left.unlink(missing_ok=True)
            return
        self._check_vacant(resume)  # another process may have been quicker
        self._text("recipe.toml", to_toml(recipe))
        self._text("versions.json", json.dumps(_versions(), indent=1))
        self._text("catalog.json", written.to_json())
        self._text("data.json", json.dumps(data, indent=1))  # last: with it the folder is a run
        self._made = True

    def release(self) -> None:
        """Training has ended: another process may go on in this folder."""
        self._lock.close()

    def withdraw(self) -> None:
        """Training failed for a reason that the user can mend: if nothing was learned yet, leave nothing
        behind that the next attempt would stumble over."""
        set_up, curves = {*_FIRST, "data.json"}, "tensorboard"
        if self._made and {file.name for file in self.folder.iterdir()} <= {*set_up, curves}:
            self.trackers.finish()
            shutil.rmtree(self.folder / curves, ignore_errors=True)
            for name in set_up:
                (self.folder / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def _check(self, recipe: AnyRecipe, old: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        if old.get("fingerprint") != data["fingerprint"]:
            raise RunError(
                f"{self.folder} was trained on other rows; name a new folder, or the same catalogue"
            )
        if old.get("start") != data.get("start"):
            told = {None: "nothing"}
            started, now = (told.get(x.get("start"), f"model {x.get('start')}") for x in (old, data))
            raise RunError(f"{self.folder} was started from {started}, not from {now}; see --init-from")
        differs = difference(load_recipe(self.folder / "recipe.toml"), recipe)
        if differs:
            raise RunError(
                f"{self.folder} was begun with another recipe ({differs}); "
                f"resume with {self.folder}/recipe.toml"
            )
        if dict(old) != dict(data):
            raise RunError(f"{self.folder} was trained on other rows or another tree; name a new folder")
        before = json.loads((self.folder / "versions.json").read_text())
        changed = [f"{k} {before.get(k)} → {v}" for k, v in _versions().items() if before.get(k) != v]
        if changed:
            self.progress.say(
                f"resuming with other versions than it was begun with ({', '.join(changed)}): "
                "the end may differ in the last digits"
            )

    def save(self, state: State) -> None:
        """Keep where training stands, and the history as a table and, now and then, as a picture.

        Raises:
            RunError: the checkpoint cannot be written; the one before it is still there.
        """
        if not self.writes:
            return
        import torch

        beside = self.folder / "checkpoint.part"
        try:
            with beside.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            beside.rename(self.folder / "checkpoint.pt")
        except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
            beside.unlink(missing_ok=True)
            raise self._unwritten("checkpoint.pt", error) from error
        self._text("metrics.csv", _table(state["history"]))
        if time.monotonic() - self._drawn > _DRAWN_EVERY:
            self.draw(state["history"])

    def draw(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write `curves.svg`."""
        self._drawn = time.monotonic()
        if not self.writes:
            return
        try:
            draw(history, self.folder / "curves.svg")
        except OSError as error:  # a picture is no reason to lose a run
            self.progress.say(f"curves.svg cannot be written: {error.strerror or error}")

    def state(self) -> State | None:
        """Where an interrupted run stands; None if it has not finished an epoch.

        Raises:
            RunError: the checkpoint is damaged.
        """
        file = self.folder / "checkpoint.pt"
        if not file.exists():
            return None
        import torch

        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a damaged file makes torch's readers raise
            raise RunError(
                f"{file} is damaged ({type(error).__name__}); delete it to train {self.folder} anew"
            ) from error

    def history(self) -> list[dict[str, str]]:
        """The lines of `metrics.csv`."""
        file = self.folder / "metrics.csv"
        return list(csv.DictReader(file.read_text().splitlines())) if file.exists() else []

    def end(self) -> None:
        """The bundle is written: the checkpoint has served."""
        (self.folder / "checkpoint.pt").unlink(missing_ok=True)

    def _text(self, name: str, text: str) -> None:
        beside = self.folder / f"{name}.part"
        try:
            beside.write_text(text)
            beside.rename(self.folder / name)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise self._unwritten(name, error) from error

    def _unwritten(self, name: str, error: Exception) -> RunError:
        full = error if isinstance(error, OSError) else error.__context__
        why = getattr(full, "strerror", None) or str(error).splitlines()[0]
        return RunError(
            f"{self.folder / name} cannot be written: {why}. What was kept before is whole: make room, then "
            "continue with --resume"
        )


def _table(history: Sequence[Mapping[str, Any]]) -> str:
    """Rows of one or several stages as CSV."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()


class TrainState:
    """Where a run stands among its stages: kept in its folder after every epoch, if it has one.

    stage: the number of the one under way; now: its state after its last whole epoch; model: the weights
    the stage before ended with; loss: what the losses' own parameters had learned by then; ended: the
    weights of stages that later ones start from.
    """

    def __init__(self, run: Run | None, recipe: AnyRecipe, later: set[str | None]) -> None:
        self.run, self.later = run, later
        state = processes.share(run.state() if run and run.writes else None) or {}
        self.stage: int = state.get("stage", 0)
        self.now: State | None = state.get("now")
        self.model: State | None = state.get("model")
        self.loss: State = state.get("loss", {})
        self.ended: dict[str, State] = state.get("ended", {})
        self.history: list[dict[str, Any]] = state.get("history", [])
        if run:
            run.trackers.start(recipe.model_dump(mode="json", exclude_none=True), self.history)

    @property
    def blank(self) -> bool:
        """Whether nothing has been learned yet."""
        return self.stage == 0 and self.now is None and self.model is None

    def epoch(self, now: State, metrics: "Epoch") -> None:
        """A whole epoch is done."""
        self.now = now
        self.history.append(metrics.row())
        self._save()
        if self.run:
            self.run.trackers.log(self.history)

    def end(self, name: str, model: "Model", loss: "nn.Module") -> None:
        """A stage is done."""
        self.model = {k: v.clone() for k, v in model.trainable_state_dict().items()}
        self.loss = {k: v.clone() for k, v in loss.state_dict().items()}
        if name in self.later:
            self.ended[name] = self.model
        self.stage, self.now = self.stage + 1, None
        self._save()

    def close(self) -> None:
        """No more stages."""
        if self.run:
            self.run.draw(self.history)

    def _save(self) -> None:
        if self.run:
            names = ("stage", "now", "model", "loss", "ended", "history")
            self.run.save({name: getattr(self, name) for name in names})


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
