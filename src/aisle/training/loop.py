"""The training loop of a stage.

Data order and randomness depend on (seed, stage, epoch) only, so on a CPU a run resumed after an epoch ends
bit-identical to an uninterrupted one.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from aisle.errors import AisleError
from aisle.metrics import Truth, at_level, overall_metrics
from aisle.models.devices import precision_of
from aisle.models.losses import PerViewLoss
from aisle.models.model import Model
from aisle.models.registry import Output, Target
from aisle.progress import Advance, Progress
from aisle.training import parallel, processes
from aisle.training.data import Batch, BatchLoader
from aisle.training.network_recipe import Stage
from aisle.training.optim import frozen_parts, lr_factor, make_optimizer, set_trainable

State = dict[str, Any]
_AUTOCAST_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_EVAL_BATCH_SIZE = 256
_MESSAGE_INTERVAL_S = 10.0  # the shortest time between two messages about epochs


class TrainingError(AisleError):
    """Training diverged."""


class WeightedLoss(nn.Module):
    """The weighted sum of losses.

    Args:
        losses: L losses.
        weights: their weights.
    """

    def __init__(self, losses: list[nn.Module], weights: list[float]) -> None:
        super().__init__()
        self.losses, self.weights = nn.ModuleList(losses), weights
        kinds = [type(loss).__name__ for loss in losses]
        self.names = [k if kinds.count(k) == 1 else f"{k}_{i}" for i, k in enumerate(kinds)]

    def views_to_score(self, views: Sequence[str]) -> set[str]:
        """The views that some loss scores alone."""
        per_view = [loss for loss in self.losses if isinstance(loss, PerViewLoss)]
        return {name for loss in per_view for name in loss.views_to_score(views)}

    def forward(self, output: Output, target: Target) -> tuple[Tensor, Tensor]:
        """The weighted sum, a scalar, and the unweighted losses (L,)."""
        values = [loss(output, target) for loss in self.losses]
        total = torch.stack([w * value for w, value in zip(self.weights, values, strict=True)]).sum()
        return total, torch.stack([value.detach() for value in values])


class Epoch(NamedTuple):
    """One line of `metrics.csv`.

    Attributes:
        stage: name of the stage.
        epoch: from 0.
        step: batches of the stage so far.
        loss: mean weighted loss over the epoch.
        lr: learning rate of the last step.
        grad_norm: mean gradient norm before clipping.
        losses: mean of each unweighted loss.
        metrics: of the validation rows.
        seconds: duration of the epoch.
    """

    stage: str
    epoch: int
    step: int
    loss: float
    lr: float
    grad_norm: float
    losses: dict[str, float]
    metrics: dict[str, float]
    seconds: float

    def row(self) -> dict[str, Any]:
        """The columns, in order."""
        columns = {name: getattr(self, name) for name in self._fields[:6]}
        losses = {f"loss.{name}": value for name, value in self.losses.items()}
        return {**columns, **losses, **self.metrics, "seconds": self.seconds}


class StageSettings(NamedTuple):
    """The parameters of a stage from its recipe.

    Attributes:
        number: of the stage, from 0.
        seed: of the run.
        precision: of training, see `aisle.models.devices.precision_of`.
    """

    number: int
    seed: int
    precision: str | None = None


def run_stage(
    model: Model,
    loss: WeightedLoss,
    stage: Stage,
    rows: tuple[BatchLoader, BatchLoader | None],
    settings: StageSettings,
    state: State | None,
    save: Callable[[State, Epoch], None],
    progress: Progress,
) -> None:
    """Train a network for one stage, in place.

    Args:
        model: the network.
        loss: the loss.
        stage: what is trained, and how.
        rows: training rows, and validation rows for early stopping.
        settings: what the stage takes from its recipe.
        state: what `save` was called with after the last epoch of an interrupted run of this stage.
        save: called after every epoch.
        progress: shows how many rows are done.

    Raises:
        TrainingError: the loss is not finite.
    """
    train_rows, validation_rows = rows
    trainer = StageTrainer(model, loss, stage, train_rows, settings)
    if state:
        trainer.restore(state)
    label = "training" if stage.name == "train" else f"training {stage.name}"
    with progress(label, trainer.epochs * len(train_rows)) as advance:
        advance(trainer.done * len(train_rows))
        last_message = time.perf_counter()
        while trainer.done < trainer.epochs and not (trainer.out_of_patience() or trainer.reached_target()):
            started = time.perf_counter()
            stats = trainer.train_epoch(advance)
            with trainer.autocast:
                metrics = evaluate(model, trainer.weights(), validation_rows, stage)
            trainer.update_best(metrics)
            end_time = time.perf_counter()
            epoch = Epoch(stage.name, trainer.done - 1, *stats, metrics, end_time - started)
            save(trainer.state(), epoch)
            if end_time - last_message > _MESSAGE_INTERVAL_S or trainer.done == trainer.epochs:
                last_message = end_time
                progress.say(_message(epoch, trainer.epochs))
    trainer.load_best()


class EpochStats(NamedTuple):
    """Statistics of a training epoch; attributes as of `Epoch`."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    losses: dict[str, float]


class StageTrainer:
    """Trains a network for one stage, and keeps its best weights.

    Args:
        model: the network, trained in place.
        loss: the loss.
        stage: what is trained, and how.
        rows: training rows.
        settings: what the stage takes from its recipe.

    Attributes:
        done: number of whole epochs.
        steps: batches per epoch.
        epochs: number of epochs.
        total: batches of all epochs.
        ema: exponential moving average of the weights, empty without `ema_decay`.
        best: the best weights so far, where the stage has `patience` or `stop_at`.
    """

    def __init__(
        self, model: Model, loss: WeightedLoss, stage: Stage, rows: BatchLoader, settings: StageSettings
    ) -> None:
        self.model, self.loss, self.stage, self.rows, self.settings = model, loss, stage, rows, settings
        self.steps = math.ceil(len(rows) / stage.batch_size)
        self.epochs = max(stage.epochs, math.ceil(stage.min_steps / self.steps))
        self.total = self.steps * self.epochs
        self.device = next(model.parameters()).device
        precision = precision_of(settings.precision, self.device)
        dtype = _AUTOCAST_DTYPES.get(precision)
        self.autocast = torch.autocast(self.device.type, dtype, enabled=dtype is not None)
        self.scaler = torch.GradScaler(self.device.type, enabled=precision == "fp16")
        self.trained = set_trainable(model, stage)
        self.frozen = frozen_parts(model, stage)
        self.score_views = loss.views_to_score(model.views)
        loss.to(self.device)
        parallel.broadcast_weights(model, loss)
        self.optimizer = make_optimizer(model, loss, stage, self.trained)
        self.ema = {k: v.detach().clone() for k, v in _floats(model).items()} if stage.ema_decay else {}
        self.best: State = {"value": -math.inf, "epoch": -1, "weights": {}}
        self.done = 0
        self.grad_norms: list[float] = []

    def train_epoch(self, advance: Advance) -> EpochStats:
        """Train for one epoch.

        Args:
            advance: called with the number of rows done.

        Raises:
            TrainingError: the loss is not finite.
        """
        self.grad_norms.clear()
        torch.manual_seed(epoch_seed(self.settings, self.done) + processes.rank())
        self.model.train()
        for part in self.frozen:
            part.eval()
        seed = [self.settings.seed, self.settings.number, self.done]
        loss_sum, losses_sum = 0.0, np.zeros(len(self.loss.names))
        for number, batch in enumerate(self.rows.shuffled(self.stage.batch_size, seed, self.stage.views)):
            n = len(batch.target.node)
            loss, losses = self._step(number, _to(batch, self.device))
            loss_sum += loss * n
            losses_sum += losses * n
            advance(n)
        parallel.average_buffers(self.model)
        self.done += 1
        if not math.isfinite(loss_sum):
            raise TrainingError(
                f"stage {self.stage.name!r}, epoch {self.done}: the loss is {loss_sum}; lower the rate "
                f"(stages.{self.settings.number}.lr, now {self.stage.lr:g})"
            )
        step = self.done * self.steps
        return EpochStats(
            step=step,
            loss=loss_sum / len(self.rows),
            lr=self.stage.lr * lr_factor(self.stage, step - 1, self.total),
            grad_norm=float(np.mean(self.grad_norms)) if self.grad_norms else math.nan,
            losses=dict(zip(self.loss.names, (losses_sum / len(self.rows)).tolist(), strict=True)),
        )

    def _step(self, number: int, batch: Batch) -> tuple[float, np.ndarray]:
        """Train on a batch; the optimizer steps every `gradient_accumulation_steps` batches and after the
        last.

        Args:
            number: of the batch in the epoch.
            batch: on the device of the network.

        Returns:
            The weighted loss, and the unweighted losses (L,).
        """
        step = self.done * self.steps + number
        group = self.stage.gradient_accumulation_steps
        first = number - number % group
        last = min(first + group, self.steps) - 1
        with self.autocast:
            output = self.model(batch.inputs, batch.present, self.score_views)
        loss, losses = self.loss(parallel.gather(output, batch.sizes), batch.target)
        self.scaler.scale(loss / (last + 1 - first)).backward()
        if number == last:
            parallel.sum_gradients(self.trained)
            for parameters in self.optimizer.param_groups:
                parameters["lr"] = parameters["max_lr"] * lr_factor(self.stage, step, self.total)
            self.scaler.unscale_(self.optimizer)
            norm = nn.utils.clip_grad_norm_(self.trained, self.stage.max_grad_norm)
            if math.isfinite(norm):  # it is not where the loss scale of fp16 was too large
                self.grad_norms.append(float(norm))
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.optimizer.zero_grad()
            if self.ema:
                _update_ema(self.ema, self.model, min(self.stage.ema_decay, (1 + step) / (10 + step)))
        return float(loss.detach()), losses.double().cpu().numpy()

    def weights(self) -> dict[str, Tensor]:
        """The weights to evaluate and to keep: the moving average, or the current weights."""
        return self.ema or _floats(self.model)

    def update_best(self, metrics: Mapping[str, float]) -> None:
        """Keep the weights if `metrics` of the validation rows are the best so far."""
        if not metrics or not self.stage.watches_metric:
            return
        value = metrics[self.stage.metric] * self._sign
        if value > self.best["value"]:
            weights = {k: v.clone() for k, v in self.weights().items()}
            self.best = {"value": value, "epoch": self.done - 1, "weights": weights}

    def out_of_patience(self) -> bool:
        """Whether `patience` epochs have passed without a better one."""
        best = self.best["epoch"]
        return bool(self.stage.patience) and best >= 0 and self.done - best > self.stage.patience

    def reached_target(self) -> bool:
        """Whether the metric of the validation rows has reached `stop_at`."""
        target = self.stage.stop_at
        return target is not None and self.best["value"] >= target * self._sign

    @property
    def _sign(self) -> int:
        """-1 for a metric of which less is better."""
        return -1 if self.stage.metric == "nll" else 1

    def load_best(self) -> None:
        """Load the best weights, or the moving average, into the network."""
        self.model.load_state_dict(self.best["weights"] or self.ema, strict=False)
        self.model.eval()

    def state(self) -> State:
        """Everything that `restore` needs."""
        return {
            "epoch": self.done - 1,
            "model": self.model.trainable_state_dict(),
            "loss": self.loss.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema,
            "best": self.best,
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, state: State) -> None:
        """Continue after the epoch in which `state` was called."""
        self.model.load_state_dict(state["model"], strict=False)
        self.loss.load_state_dict(state["loss"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema = {k: v.to(self.device) for k, v in state["ema"].items()}
        self.best, self.done = state["best"], state["epoch"] + 1
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])


def _message(epoch: Epoch, epochs: int) -> str:
    losses = [f"{name} {value:.4g}" for name, value in epoch.losses.items()]
    detail = f" ({', '.join(losses)})" if len(losses) > 1 else ""
    return f"{epoch.stage}: epoch {epoch.epoch + 1} of {epochs}, loss {epoch.loss:.4g}{detail}"


def epoch_seed(settings: StageSettings, epoch: int) -> int:
    """A different seed for every epoch of every stage."""
    return int(np.random.SeedSequence([settings.seed, settings.number, epoch]).generate_state(1)[0])


def _to(batch: Batch, device: torch.device) -> Batch:
    if device.type == "cpu":
        return batch
    inputs = {v: {k: t.to(device) for k, t in arrays.items()} for v, arrays in batch.inputs.items()}
    node, exact, weight = batch.target
    target = Target(node.to(device), exact.to(device), None if weight is None else weight.to(device))
    return Batch(inputs, batch.present.to(device), target, batch.sizes)


def _floats(model: Model) -> dict[str, Tensor]:
    """Parameters and running statistics of the parts that are not frozen."""
    return {k: v for k, v in model.trainable_state_dict().items() if v.is_floating_point()}


@torch.no_grad()
def _update_ema(ema: dict[str, Tensor], model: Model, decay: float) -> None:
    weights = model.state_dict()
    for name, value in ema.items():
        value.lerp_(weights[name], 1 - decay)


@torch.no_grad()
def evaluate(
    model: Model, weights: Mapping[str, Tensor], rows: BatchLoader | None, stage: Stage
) -> dict[str, float]:
    """Evaluate a network with other weights; its own are restored.

    Args:
        model: the network.
        weights: the weights to evaluate.
        rows: the rows.
        stage: sets which views are read.

    Returns:
        The metrics of `aisle.metrics.overall`, the accuracy of each level (`level1`, …), and `nll`, the mean
        negative log-likelihood in nats. Empty without rows.
    """
    if rows is None:
        return {}
    original = {k: v.clone() for k, v in model.state_dict().items() if k in weights}
    model.load_state_dict(dict(weights), strict=False)
    model.eval()
    device = next(model.parameters()).device
    best, nll = [], []
    for batch in rows.in_order(_EVAL_BATCH_SIZE, stage.views):
        batch = _to(batch, device)
        scores = model(batch.inputs, batch.present).scores
        best.append(scores.topk(1)[0][:, 0].cpu().numpy())
        nll.append(scores.nll(batch.target.node, batch.target.exact).cpu().numpy())
    model.load_state_dict(original, strict=False)
    matched = Truth.of(rows.taxonomy, rows.targets).match(np.concatenate(best))
    levels = {f"level{n}": at_level(matched, n).right for n in range(1, rows.taxonomy.depth + 1)}
    return {
        "nll": float(np.concatenate(nll).mean()),
        **overall_metrics(matched),
        **{name: float(right.mean()) if len(right) else math.nan for name, right in levels.items()},
    }
