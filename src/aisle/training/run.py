"""The folder of a training run.

recipe.toml     the resolved recipe
data.json       fingerprint of the catalog, rows of each part, fingerprint of the tree
catalog.json    the format and columns of the catalog
versions.json   versions of Python and libraries
checkpoint.pt   state after the last epoch, until training ends
metrics.csv     one line per epoch
curves.svg      learning curves
tensorboard/    event files, where TensorBoard is installed
model/          the bundle
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

from aisle.atomic_files import wrap_write_errors
from aisle.data.catalog_format import CatalogFormat
from aisle.errors import AisleError
from aisle.inference.folder import MANIFEST, lock_folder, recover
from aisle.progress import SILENT, Progress
from aisle.training import processes
from aisle.training.curves import draw
from aisle.training.recipe import AnyRecipe, load_recipe
from aisle.training.recipe_toml import difference, to_toml
from aisle.training.tracking import Trackers, resolve_trackers

if TYPE_CHECKING:
    from torch import nn

    from aisle.models.model import Model
    from aisle.training.loop import Epoch

State = dict[str, Any]
_LIBRARIES = ("aisle", "torch", "transformers", "tokenizers", "numpy", "pillow", "scikit-learn")
_DRAW_INTERVAL_S = 30.0  # the shortest time between two charts
# The only files of a run that was killed while its folder was set up.
_SETUP_FILES = {
    *("recipe.toml", "recipe.toml.part", "versions.json", "versions.json.part", "data.json.part"),
    *("catalog.json", "catalog.json.part"),
}


class RunError(AisleError):
    """The folder of a run is in use, missing, cannot be written, or belongs to other data."""


class Run:
    """A training run in a folder. Files are written under a temporary name and renamed.

    Args:
        folder: the folder.
        track: names of trackers, see `aisle.training.tracking`.
        progress: shows warnings.

    Raises:
        TrackerError: there is no such tracker, or its package is missing.
    """

    def __init__(self, folder: Path, track: Sequence[str] | None = None, progress: Progress = SILENT) -> None:
        self.folder, self.progress = folder, progress
        self.writes = processes.is_first()
        self.trackers = Trackers(resolve_trackers(track) if self.writes else (), folder, progress)
        self._last_drawn = time.monotonic()
        self._created = False
        self._lock = contextlib.ExitStack()

    @property
    def model(self) -> Path:
        """The folder of the bundle."""
        return self.folder / "model"

    @property
    def finished(self) -> bool:
        """Whether the bundle is written and the checkpoint removed."""
        return (self.model / MANIFEST).exists() and not (self.folder / "checkpoint.pt").exists()

    def check(self, resume: bool) -> None:
        """Check that the folder can be used, before the rows are read.

        Args:
            resume: whether it may hold an interrupted run.

        Raises:
            RunError: the folder is in use (without `resume`), or another process trains in it.
        """
        if not self.writes:
            return
        if self.folder.exists() and not self.folder.is_dir():
            raise RunError(f"{self.folder} is a file; name a folder for the run")
        if self.folder.exists():
            with contextlib.ExitStack() as stack:
                self._lock_folder(stack)
        if not (resume and (self.folder / "data.json").exists()):
            self._check_empty(resume)

    def _check_empty(self, resume: bool) -> None:
        names = {file.name for file in self.folder.iterdir()} if self.folder.exists() else set()
        if names - (_SETUP_FILES if resume else set()):
            advice = "" if resume else ", or pass --resume to continue it"
            raise RunError(f"{self.folder} already holds {min(names)}; name a new folder{advice}")

    def _lock_folder(self, stack: contextlib.ExitStack) -> None:
        try:
            stack.enter_context(lock_folder(self.folder, wait=False))
        except BlockingIOError:
            raise RunError(
                f"another process trains in {self.folder}; wait until it ends, or name a new folder"
            ) from None
        except OSError:  # a file system without locks
            return

    def begin(
        self, recipe: AnyRecipe, data: dict[str, Any], resume: bool, catalog_format: CatalogFormat
    ) -> None:
        """Create the folder, or check that it holds the run to resume, and lock it until `release`.

        Args:
            recipe: the recipe.
            data: what identifies the data.
            resume: whether to resume an interrupted run.
            catalog_format: the format and columns of the catalog.

        Raises:
            RunError: the folder is in use (without `resume`), another process trains in it, or it belongs to
                another recipe or other data.
        """
        data_file = self.folder / "data.json"
        if not self.writes:
            return
        self.check(resume)
        with wrap_write_errors(self.folder, RunError):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock_folder(self._lock)
        if resume and data_file.exists():
            self._check_same_run(recipe, json.loads(data_file.read_text()), data)
            recover(self.model)
            for partial in self.folder.glob("*.part"):  # of a process that was killed
                partial.unlink(missing_ok=True)
            return
        self._check_empty(resume)  # another process may have created it meanwhile
        self._write("recipe.toml", to_toml(recipe))
        self._write("versions.json", json.dumps(_versions(), indent=1))
        self._write("catalog.json", catalog_format.to_json())
        self._write("data.json", json.dumps(data, indent=1))  # last: it makes the folder a run
        self._created = True

    def release(self) -> None:
        """Unlock the folder."""
        self._lock.close()

    def discard_if_untrained(self) -> None:
        """Remove the folder after an error of the user, if no epoch is done, so that it can be used again."""
        setup_files, events = {*_SETUP_FILES, "data.json"}, "tensorboard"
        if self._created and {file.name for file in self.folder.iterdir()} <= {*setup_files, events}:
            self.trackers.finish()
            shutil.rmtree(self.folder / events, ignore_errors=True)
            for name in setup_files:
                (self.folder / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def _check_same_run(self, recipe: AnyRecipe, old: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        if old.get("fingerprint") != data["fingerprint"]:
            raise RunError(f"{self.folder} was trained on other rows; name a new folder, or the same catalog")
        if old.get("start") != data.get("start"):
            earlier, current = (f"model {x['start']}" if x.get("start") else "nothing" for x in (old, data))
            raise RunError(f"{self.folder} was started from {earlier}, not from {current}; see --init-from")
        changed_key = difference(load_recipe(self.folder / "recipe.toml"), recipe)
        if changed_key:
            raise RunError(
                f"{self.folder} was begun with another recipe ({changed_key}); "
                f"resume with {self.folder}/recipe.toml"
            )
        if dict(old) != dict(data):
            raise RunError(f"{self.folder} was trained on other rows or another tree; name a new folder")
        versions = json.loads((self.folder / "versions.json").read_text())
        changed = [f"{k} {versions.get(k)} → {v}" for k, v in _versions().items() if versions.get(k) != v]
        if changed:
            self.progress.say(
                f"resuming with other versions than it was begun with ({', '.join(changed)}): "
                "the end may differ in the last digits"
            )

    def save(self, state: State) -> None:
        """Write the checkpoint, `metrics.csv`, and every half minute the learning curves.

        Args:
            state: of the run, with its `history`.

        Raises:
            RunError: the checkpoint cannot be written; the previous one is kept.
        """
        if not self.writes:
            return
        import torch

        partial = self.folder / "checkpoint.part"
        try:
            with partial.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self.folder / "checkpoint.pt")
        except (OSError, RuntimeError) as error:  # torch raises RuntimeError where the disk is full
            partial.unlink(missing_ok=True)
            raise self._write_error("checkpoint.pt", error) from error
        self._write("metrics.csv", _to_csv(state["history"]))
        if time.monotonic() - self._last_drawn > _DRAW_INTERVAL_S:
            self.draw(state["history"])

    def draw(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write `curves.svg`."""
        self._last_drawn = time.monotonic()
        if not self.writes:
            return
        try:
            draw(history, self.folder / "curves.svg")
        except OSError as error:  # no reason to stop training
            self.progress.say(f"curves.svg cannot be written: {error.strerror or error}")

    def state(self) -> State | None:
        """Read the checkpoint of an interrupted run; None if it has not finished an epoch.

        Raises:
            RunError: the checkpoint is damaged.
        """
        file = self.folder / "checkpoint.pt"
        if not file.exists():
            return None
        import torch

        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises different ones for damaged files
            raise RunError(
                f"{file} is damaged ({type(error).__name__}); delete it to train {self.folder} anew"
            ) from error

    def history(self) -> list[dict[str, str]]:
        """The lines of `metrics.csv`."""
        file = self.folder / "metrics.csv"
        return list(csv.DictReader(file.read_text().splitlines())) if file.exists() else []

    def end(self) -> None:
        """Remove the checkpoint, once the bundle is written."""
        (self.folder / "checkpoint.pt").unlink(missing_ok=True)

    def _write(self, name: str, text: str) -> None:
        partial = self.folder / f"{name}.part"
        try:
            partial.write_text(text)
            partial.rename(self.folder / name)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise self._write_error(name, error) from error

    def _write_error(self, name: str, error: Exception) -> RunError:
        cause = error if isinstance(error, OSError) else error.__context__
        reason = getattr(cause, "strerror", None) or str(error).splitlines()[0]
        return RunError(
            f"{self.folder / name} cannot be written: {reason}. What was kept before is whole: make room, "
            "then continue with --resume"
        )


def _to_csv(history: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV; those of different stages may have different columns."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()


class TrainState:
    """The state of training over all stages, saved in the run's folder after every epoch.

    Args:
        run: the run, None to save nothing.
        recipe: the recipe.
        init_from: names of stages whose weights later stages start from.

    Attributes:
        stage: number of the current stage.
        now: state of the current stage after its last epoch.
        model: weights after the previous stage.
        loss: parameters of the losses after the previous stage.
        ended: weights after the stages in `init_from`.
        history: a row per epoch.
    """

    def __init__(self, run: Run | None, recipe: AnyRecipe, init_from: set[str | None]) -> None:
        self.run, self.init_from = run, init_from
        state = processes.broadcast(run.state() if run and run.writes else None) or {}
        self.stage: int = state.get("stage", 0)
        self.now: State | None = state.get("now")
        self.model: State | None = state.get("model")
        self.loss: State = state.get("loss", {})
        self.ended: dict[str, State] = state.get("ended", {})
        self.history: list[dict[str, Any]] = state.get("history", [])
        if run:
            run.trackers.start(recipe.model_dump(mode="json", exclude_none=True), self.history)

    @property
    def untrained(self) -> bool:
        """Whether no epoch is done."""
        return self.stage == 0 and self.now is None and self.model is None

    def epoch(self, state: State, metrics: "Epoch") -> None:
        """Save the state after an epoch.

        Args:
            state: state of the stage.
            metrics: of the epoch.
        """
        self.now = state
        self.history.append(metrics.row())
        self._save()
        if self.run:
            self.run.trackers.log(self.history)

    def end(self, name: str, model: "Model", loss: "nn.Module") -> None:
        """Save the state after a stage.

        Args:
            name: of the stage.
            model: the network.
            loss: the losses.
        """
        self.model = {k: v.clone() for k, v in model.trainable_state_dict().items()}
        self.loss = {k: v.clone() for k, v in loss.state_dict().items()}
        if name in self.init_from:
            self.ended[name] = self.model
        self.stage, self.now = self.stage + 1, None
        self._save()

    def close(self) -> None:
        """Draw the learning curves, after the last stage."""
        if self.run:
            self.run.draw(self.history)

    def _save(self) -> None:
        if self.run:
            names = ("stage", "now", "model", "loss", "ended", "history")
            self.run.save({name: getattr(self, name) for name in names})


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
