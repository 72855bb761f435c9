"""Logs metrics to TensorBoard, MLflow and Weights & Biases.

When a run is resumed, the event files of TensorBoard are written again from its history; MLflow and Weights &
Biases continue their run, whose id is in `trackers.json`, with the epochs that they lack.
"""

import importlib.util
import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from aisle.atomic_files import atomic_text
from aisle.errors import AisleError, did_you_mean
from aisle.progress import Progress

TRACKERS = ("tensorboard", "mlflow", "wandb")
PROJECT = "aisle"  # the experiment of MLflow, the project of Weights & Biases

_MLFLOW_MAX_CHARS, _MLFLOW_MAX_PARAMS = 500, 100  # per parameter, per call

Row = Mapping[str, Any]


class TrackerError(AisleError):
    """A tracker is unknown, not installed, or does not start."""


def resolve_trackers(names: Sequence[str] | None) -> tuple[str, ...]:
    """Check the names of trackers.

    Args:
        names: of trackers; None for TensorBoard, where it is installed.

    Raises:
        TrackerError: there is no such tracker, or its package is missing.
    """
    if names is None:
        return ("tensorboard",) if _installed("tensorboard") else ()
    for name in names:
        if name not in TRACKERS:
            suggestion = did_you_mean(name, TRACKERS)
            raise TrackerError(f"there is no tracker {name!r}.{suggestion} Known: {', '.join(TRACKERS)}")
        if not _installed(name):
            extra = "track" if name == "tensorboard" else name
            raise TrackerError(f"tracker {name!r} is not installed: pip install 'aisle[{extra}]'")
    return tuple(dict.fromkeys(names))


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


class Tracker(Protocol):
    """A destination of metrics, opened by its constructor."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Write the metrics of a step."""
        ...

    def finish(self) -> None:
        """Close the tracker."""
        ...


class TensorBoard:
    """Event files in a folder.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Write the metrics of a step."""
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def finish(self) -> None:
        """Close the tracker."""
        self.writer.close()


class MLflow:
    """A run in the experiment `aisle` of MLflow.

    Args:
        folder: of the training run; its name is the run's.
        id: of a run to continue.
        params: the recipe's keys and values.
    """

    def __init__(self, folder: Path, id: str | None, params: Mapping[str, Any]) -> None:
        import mlflow

        self.mlflow = mlflow
        mlflow.set_experiment(PROJECT)
        self.id = mlflow.start_run(run_id=id, run_name=folder.name).info.run_id
        items = [(key, str(value)[:_MLFLOW_MAX_CHARS]) for key, value in params.items()]
        for start in range(0, len(items), _MLFLOW_MAX_PARAMS):
            mlflow.log_params(dict(items[start : start + _MLFLOW_MAX_PARAMS]))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Write the metrics of a step."""
        self.mlflow.log_metrics(dict(metrics), step=step)

    def finish(self) -> None:
        """Close the tracker."""
        self.mlflow.end_run()


class WandB:
    """A run in the project `aisle` of Weights & Biases.

    Args:
        folder: of the training run; its name is the run's.
        id: of a run to continue.
        params: the recipe's keys and values.
    """

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
        """Close the tracker."""
        self.run.finish()


class Trackers:
    """The trackers of a training run.

    If a tracker fails during training, a warning is shown and it is disabled.

    Args:
        names: of the trackers.
        folder: of the run.
        progress: shows warnings.
    """

    def __init__(self, names: Sequence[str], folder: Path, progress: Progress) -> None:
        self.names, self.folder, self.progress = names, folder, progress
        self.running: dict[str, Tracker] = {}
        self._state_file = folder / "trackers.json"  # {tracker: {"id", "logged"}}

    def start(self, recipe: Mapping[str, Any], history: Sequence[Row]) -> None:
        """Start the trackers, and log the epochs that a resumed run has done.

        Args:
            recipe: the recipe, as plain data.
            history: a row per epoch.

        Raises:
            TrackerError: a tracker does not start.
        """
        saved = json.loads(self._state_file.read_text()) if self._state_file.exists() else {}
        self._state = {name: saved.get(name, {"id": None, "logged": 0}) for name in self.names}
        for name in self.names:
            try:
                self.running[name] = self._open(name, recipe)
            except (Exception, SystemExit) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                raise TrackerError(
                    f"tracker {name!r} does not start: {reason}; mend that, or leave it out of --track"
                ) from error
            self._log_new(name, history)

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
        """Log the epochs that trackers lack.

        Args:
            history: a row per epoch.
        """
        for name in list(self.running):
            try:
                self._log_new(name, history)
            except Exception as error:
                del self.running[name]
                self.progress.say(f"tracker {name!r} is left out from here on: {error}")

    def _log_new(self, name: str, history: Sequence[Row]) -> None:
        state, steps = self._state[name], total_steps(history)
        for row, step in list(zip(history, steps, strict=True))[state["logged"] :]:
            self.running[name].log(_grouped(row), step=step)
        state["logged"] = len(history)
        if name != "tensorboard":
            with atomic_text(self._state_file) as handle:
                json.dump(self._state, handle)

    def finish(self) -> None:
        """Close the trackers."""
        for name, tracker in self.running.items():
            try:
                tracker.finish()
            except Exception as error:
                self.progress.say(f"tracker {name!r} did not close: {error}")
        self.running = {}


def total_steps(history: Sequence[Row]) -> list[int]:
    """The number of steps of all stages after each epoch in `history`."""
    steps, offset, last = [], 0, None
    for row in history:
        if last is not None and row["stage"] != last["stage"]:
            offset = steps[-1]
        steps.append(offset + row["step"])
        last = row
    return steps


def _grouped(row: Row) -> dict[str, float]:
    """Metrics by group and name: `train/loss`, `validation/accuracy`."""
    train = {k for k in row if k in ("loss", "lr", "grad_norm", "seconds", "epoch") or k.startswith("loss.")}
    metrics = {k: v for k, v in row.items() if k not in ("stage", "step")}
    return {f"{'train' if k in train else 'validation'}/{k}": float(v) for k, v in metrics.items()}


def _flat(table: Any, path: str = "") -> dict[str, Any]:
    """Nested tables as one: `{"stages.0.lr": 0.01}`."""
    if isinstance(table, Mapping):
        parts = [_flat(v, f"{path}.{k}" if path else str(k)) for k, v in table.items()]
    elif isinstance(table, list) and any(isinstance(v, Mapping) for v in table):
        parts = [_flat(v, f"{path}.{i}") for i, v in enumerate(table)]
    else:
        return {path: str(table) if isinstance(table, list) else table}
    return {key: value for part in parts for key, value in part.items()}
