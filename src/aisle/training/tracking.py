"""Metrics to TensorBoard, MLflow and Weights & Biases.

The run's history is the truth, and trackers follow it: TensorBoard's folder lies in the run's and is written
anew by a resumed run; the others keep their own run, which `trackers.json` names, and are told what
they lack.
"""

import importlib.util
import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from aisle.errors import AisleError, did_you_mean
from aisle.progress import Progress

TRACKERS = ("tensorboard", "mlflow", "wandb")
PROJECT = "aisle"  # an experiment of MLflow, a project of W&B

_LONGEST, _PARAMS = 500, 100  # what MLflow takes: characters of a parameter, parameters at once

Row = Mapping[str, Any]


class TrackerError(AisleError):
    """A tracker is unknown, not installed, or does not start."""


def chosen(names: Sequence[str] | None) -> tuple[str, ...]:
    """The trackers by these names; without any, TensorBoard where it is installed.

    Raises:
        TrackerError: there is no such tracker, or its package is missing.
    """
    if names is None:
        return ("tensorboard",) if _installed("tensorboard") else ()
    for name in names:
        if name not in TRACKERS:
            near = did_you_mean(name, TRACKERS)
            raise TrackerError(f"there is no tracker {name!r}.{near} Known: {', '.join(TRACKERS)}")
        if not _installed(name):
            extra = "track" if name == "tensorboard" else name
            raise TrackerError(f"tracker {name!r} is not installed: pip install 'aisle[{extra}]'")
    return tuple(dict.fromkeys(names))


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


class Tracker(Protocol):
    """Where metrics go: opened by its constructor."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Write the metrics of a step."""
        ...

    def finish(self) -> None:
        """Close it."""
        ...


class TensorBoard:
    """Event files in a folder."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Write the metrics of a step."""
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def finish(self) -> None:
        """Close it."""
        self.writer.close()


class MLflow:
    """A run of the experiment `aisle`; with an `id`, that run goes on."""

    def __init__(self, folder: Path, id: str | None, params: Mapping[str, Any]) -> None:
        import mlflow

        self.mlflow = mlflow
        mlflow.set_experiment(PROJECT)
        self.id = mlflow.start_run(run_id=id, run_name=folder.name).info.run_id
        items = [(key, str(value)[:_LONGEST]) for key, value in params.items()]
        for start in range(0, len(items), _PARAMS):
            mlflow.log_params(dict(items[start : start + _PARAMS]))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Write the metrics of a step."""
        self.mlflow.log_metrics(dict(metrics), step=step)

    def finish(self) -> None:
        """Close it."""
        self.mlflow.end_run()


class WandB:
    """A run of the project `aisle`; with an `id`, that run goes on."""

    def __init__(self, folder: Path, id: str | None, params: Mapping[str, Any]) -> None:
        import wandb

        self.id = id or uuid.uuid4().hex[:12]
        settings = wandb.Settings(silent=True, console="off")
        self.run = wandb.init(
            project=PROJECT, name=folder.name, id=self.id, resume="allow", dir=str(folder), settings=settings
        )
        self.run.config.update(dict(params), allow_val_change=True)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Write the metrics of a step."""
        self.run.log(dict(metrics), step=step)

    def finish(self) -> None:
        """Close it."""
        self.run.finish()


class Trackers:
    """The trackers of one run. Once started, none of them stops training: what fails is said and left out."""

    def __init__(self, names: Sequence[str], folder: Path, progress: Progress) -> None:
        self.names, self.folder, self.progress = names, folder, progress
        self.running: dict[str, Tracker] = {}
        self._notes = folder / "trackers.json"  # {tracker: {"id", "logged"}}

    def start(self, recipe: Mapping[str, Any], history: Sequence[Row]) -> None:
        """Begin, or go on: with what a resumed run has done already.

        Raises:
            TrackerError: one does not start.
        """
        notes = json.loads(self._notes.read_text()) if self._notes.exists() else {}
        self._state = {name: notes.get(name, {"id": None, "logged": 0}) for name in self.names}
        for name in self.names:
            try:
                self.running[name] = self._open(name, recipe)
            except (Exception, SystemExit) as error:
                why = " ".join(str(error).split()) or type(error).__name__
                raise TrackerError(
                    f"tracker {name!r} does not start: {why}; mend that, or leave it out of --track"
                ) from error
            self._tell(name, history)

    def _open(self, name: str, recipe: Mapping[str, Any]) -> "Tracker":
        state, folder = self._state[name], self.folder
        if name == "tensorboard":
            shutil.rmtree(folder / name, ignore_errors=True)
            state["logged"] = 0
            return TensorBoard(folder / name)
        kind = MLflow if name == "mlflow" else WandB
        tracker = kind(folder, state["id"], _flat(recipe))
        state["id"] = tracker.id
        return tracker

    def log(self, history: Sequence[Row]) -> None:
        """Tell every tracker what it has not heard of."""
        for name in list(self.running):
            try:
                self._tell(name, history)
            except Exception as error:
                del self.running[name]
                self.progress.say(f"tracker {name!r} is left out from here on: {error}")

    def _tell(self, name: str, history: Sequence[Row]) -> None:
        state, steps = self._state[name], total_steps(history)
        for row, step in list(zip(history, steps, strict=True))[state["logged"] :]:
            self.running[name].log(_named(row), step=step)
        state["logged"] = len(history)
        if name != "tensorboard":
            beside = self._notes.with_suffix(".json.part")
            beside.write_text(json.dumps(self._state))
            beside.rename(self._notes)

    def finish(self) -> None:
        """Close them all."""
        for name, tracker in self.running.items():
            try:
                tracker.finish()
            except Exception as error:
                self.progress.say(f"tracker {name!r} did not close: {error}")
        self.running = {}


def total_steps(history: Sequence[Row]) -> list[int]:
    """The steps of the whole run after each of its epochs, stages one after another."""
    steps, before, last = [], 0, None
    for row in history:
        if last is not None and row["stage"] != last["stage"]:
            before = steps[-1]
        steps.append(before + row["step"])
        last = row
    return steps


def _named(row: Row) -> dict[str, float]:
    """As trackers group them: what is of training, and what is of the stopping part."""
    own = ("loss", "lr", "grad_norm", "seconds", "epoch")
    left = {"stage", "step"}
    trained = {k for k in row if k in own or k.startswith("loss.")}
    return {f"{'train' if k in trained else 'stop'}/{k}": float(v) for k, v in row.items() if k not in left}


def _flat(table: Any, path: str = "") -> dict[str, Any]:
    """`{"stages.0.lr": 0.01}`."""
    if isinstance(table, Mapping):
        parts = [_flat(v, f"{path}.{k}" if path else str(k)) for k, v in table.items()]
    elif isinstance(table, list) and any(isinstance(v, Mapping) for v in table):
        parts = [_flat(v, f"{path}.{i}") for i, v in enumerate(table)]
    else:
        return {path: str(table) if isinstance(table, list) else table}
    return {key: value for part in parts for key, value in part.items()}
