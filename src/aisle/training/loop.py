"""The one training loop: a stage's epochs, visible from top to bottom.

Data order and randomness follow from (seed, stage, epoch) alone, so a run resumed from its last whole
epoch ends bit-identical, on CPU, to one that was never disturbed.
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
from aisle.training.optim import frozen_parts, optimizer_of, rate_at, set_trainable
from aisle.training.recipe import Stage

State = dict[str, Any]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}  # of mixed precision
_SAY_EVERY = 10.0  # seconds at least between two lines about epochs


class TrainingError(AisleError):
    """Training went astray."""


class WeightedLoss(nn.Module):
    """A recipe's losses, added with their weights."""

    def __init__(self, losses: list[nn.Module], weights: list[float]) -> None:
        super().__init__()
        self.losses, self.weights = nn.ModuleList(losses), weights
        kinds = [type(loss).__name__ for loss in losses]
        self.names = [k if kinds.count(k) == 1 else f"{k}_{i}" for i, k in enumerate(kinds)]

    def views_to_score(self, views: Sequence[str]) -> set[str]:
        """The views whose own scores some loss needs."""
        return {
            name
            for loss in self.losses
            if isinstance(loss, PerViewLoss)
            for name in loss.views_to_score(views)
        }

    def forward(self, output: Output, target: Target) -> tuple[Tensor, Tensor]:
        """-> the weighted sum (), and each loss without its weight (L,)."""
        parts = [loss(output, target) for loss in self.losses]
        total = torch.stack([w * part for w, part in zip(self.weights, parts, strict=True)]).sum()
        return total, torch.stack([part.detach() for part in parts])


class Epoch(NamedTuple):
    """One line of `metrics.csv`. step: batches of the stage so far; loss: its mean over the epoch, the sum of
    the recipe's losses with their weights; lr: of the last step; grad_norm: the mean length of the gradient
    before clipping; losses: the mean of each without its weight; metrics: of the stopping part."""

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
        before = {name: getattr(self, name) for name in self._fields[:6]}
        each = {f"loss.{name}": value for name, value in self.losses.items()}
        return {**before, **each, **self.metrics, "seconds": self.seconds}


class Position(NamedTuple):
    """Where in the recipe a stage stands: its number among the stages, the run's seed and precision."""

    stage: int
    seed: int
    precision: str | None = None


def run_stage(
    model: Model,
    loss: WeightedLoss,
    stage: Stage,
    rows: tuple[BatchLoader, BatchLoader | None],
    position: Position,
    state: State | None,
    save: Callable[[State, Epoch], None],
    progress: Progress,
) -> None:
    """Train `model` in place.

    rows: those learned from, and the stopping part. state: what `save` was given after the last whole
    epoch of an interrupted run of this stage.

    Raises:
        TrainingError: the loss is no longer a number.
    """
    fit, stop = rows
    course = StageTrainer(model, loss, stage, fit, position)
    if state:
        course.restore(state)
    label = "training" if stage.name == "train" else f"training {stage.name}"
    with progress(label, course.epochs * len(fit)) as advance:
        advance(course.done * len(fit))
        said = time.perf_counter()
        while course.done < course.epochs and not course.waited_enough():
            started = time.perf_counter()
            learned = course.learn(advance)
            with course.autocast:
                metrics = evaluate(model, course.weights(), stop, stage)
            course.remember(metrics)
            seconds = time.perf_counter() - started
            epoch = Epoch(stage.name, course.done - 1, *learned, metrics, seconds)
            save(course.state(), epoch)
            if started + seconds - said > _SAY_EVERY or course.done == course.epochs:
                said = started + seconds
                progress.say(_line(epoch, course.epochs))
    course.finish()


class Learned(NamedTuple):
    """What one epoch was like: as in `Epoch`."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    losses: dict[str, float]


class StageTrainer:
    """One stage under way: what is trained, how far it has come, and the best weights so far.

    done: whole epochs; steps: batches in each; total: batches in all. mean: the running mean of weights,
    empty without `ema_decay`. best: the weights to go back to, where the stage has `patience`.
    """

    def __init__(
        self, model: Model, loss: WeightedLoss, stage: Stage, fit: BatchLoader, position: Position
    ) -> None:
        self.model, self.loss, self.stage, self.fit, self.position = model, loss, stage, fit, position
        self.steps = math.ceil(len(fit) / stage.batch_size)
        self.epochs = max(stage.epochs, math.ceil(stage.min_steps / self.steps))
        self.total = self.steps * self.epochs
        self.device = next(model.parameters()).device
        precision = precision_of(position.precision, self.device)
        self.autocast = torch.autocast(self.device.type, _DTYPES.get(precision), enabled=precision in _DTYPES)
        self.scaler = torch.GradScaler(self.device.type, enabled=precision == "fp16")
        self.trained = set_trainable(model, stage)
        self.frozen = frozen_parts(model, stage)
        self.score_views = loss.views_to_score(model.views)
        loss.to(self.device)
        parallel.agree(model, loss)
        self.optimizer = optimizer_of(model, loss, stage, self.trained)
        self.mean = {k: v.detach().clone() for k, v in _floats(model).items()} if stage.ema_decay else {}
        self.best: State = {"value": -math.inf, "epoch": -1, "weights": {}}
        self.done = 0
        self.norms: list[float] = []

    def learn(self, advance: Advance) -> Learned:
        """One epoch."""
        self.norms.clear()
        torch.manual_seed(hash_seed(self.position, self.done) + processes.rank())
        self.model.train()
        for part in self.frozen:
            part.eval()
        seed = [self.position.seed, self.position.stage, self.done]
        total, each = 0.0, np.zeros(len(self.loss.names))
        for number, batch in enumerate(self.fit.shuffled(self.stage.batch_size, seed, self.stage.views)):
            rows = len(batch.target.node)
            value, parts = self._step(number, _to(batch, self.device))
            total += value * rows
            each += parts * rows
            advance(rows)
        parallel.average(self.model)
        self.done += 1
        if not math.isfinite(total):
            raise TrainingError(
                f"stage {self.stage.name!r}, epoch {self.done}: the loss is {total}; lower the rate "
                f"(stages.{self.position.stage}.lr, now {self.stage.lr:g})"
            )
        last = self.done * self.steps - 1
        rate = self.stage.lr * rate_at(self.stage, last, self.total)
        means = dict(zip(self.loss.names, (each / len(self.fit)).tolist(), strict=True))
        return Learned(
            last + 1,
            total / len(self.fit),
            rate,
            float(np.mean(self.norms)) if self.norms else math.nan,
            means,
        )

    def _step(self, number: int, batch: Batch) -> tuple[float, np.ndarray]:
        """One batch; the optimizer steps every `gradient_accumulation_steps` batches and after the last."""
        step = self.done * self.steps + number
        group = self.stage.gradient_accumulation_steps
        first = number - number % group
        last = min(first + group, self.steps) - 1
        with self.autocast:
            output = self.model(batch.inputs, batch.present, self.score_views)
        value, parts = self.loss(parallel.gather(output, batch.sizes), batch.target)
        self.scaler.scale(value / (last + 1 - first)).backward()
        if number == last:
            parallel.add_up(self.trained)
            for table in self.optimizer.param_groups:
                table["lr"] = table["top"] * rate_at(self.stage, step, self.total)
            self.scaler.unscale_(self.optimizer)
            norm = nn.utils.clip_grad_norm_(self.trained, self.stage.max_grad_norm)
            if math.isfinite(norm):  # not where fp16's scale was too large
                self.norms.append(float(norm))
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.optimizer.zero_grad()
            if self.mean:
                _follow(self.mean, self.model, min(self.stage.ema_decay, (1 + step) / (10 + step)))
        return float(value.detach()), parts.double().cpu().numpy()

    def weights(self) -> dict[str, Tensor]:
        """Those to judge and to keep: the running mean, where there is one."""
        return self.mean or _floats(self.model)

    def remember(self, metrics: Mapping[str, float]) -> None:
        """Keep the weights if they are the best so far."""
        if not self.stage.patience or not metrics:
            return
        value = metrics[self.stage.metric] * (-1 if self.stage.metric == "nll" else 1)
        if value > self.best["value"]:
            kept = {k: v.clone() for k, v in self.weights().items()}
            self.best = {"value": value, "epoch": self.done - 1, "weights": kept}

    def waited_enough(self) -> bool:
        """Whether too many epochs have passed without a better one."""
        best = self.best["epoch"]
        return bool(self.stage.patience) and best >= 0 and self.done - best > self.stage.patience

    def finish(self) -> None:
        """Leave the network with the weights to keep."""
        self.model.load_state_dict(self.best["weights"] or self.mean, strict=False)
        self.model.eval()

    def state(self) -> State:
        """Everything `restore` needs."""
        return {
            "epoch": self.done - 1,
            "model": self.model.trainable_state_dict(),
            "loss": self.loss.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "mean": self.mean,
            "best": self.best,
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, state: State) -> None:
        """Go on from the end of an epoch."""
        self.model.load_state_dict(state["model"], strict=False)
        self.loss.load_state_dict(state["loss"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.mean = {k: v.to(self.device) for k, v in state["mean"].items()}
        self.best, self.done = state["best"], state["epoch"] + 1
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])


def _line(epoch: Epoch, epochs: int) -> str:
    """An epoch for the person watching."""
    parts = [f"{name} {value:.4g}" for name, value in epoch.losses.items()]
    each = f" ({', '.join(parts)})" if len(parts) > 1 else ""
    return f"{epoch.stage}: epoch {epoch.epoch + 1} of {epochs}, loss {epoch.loss:.4g}{each}"


def hash_seed(position: Position, epoch: int) -> int:
    """A seed of its own for every epoch of every stage."""
    return int(np.random.SeedSequence([position.seed, position.stage, epoch]).generate_state(1)[0])


def _to(batch: Batch, device: torch.device) -> Batch:
    if device.type == "cpu":
        return batch
    inputs = {v: {k: t.to(device) for k, t in arrays.items()} for v, arrays in batch.inputs.items()}
    node, exact, weight = batch.target
    target = Target(node.to(device), exact.to(device), None if weight is None else weight.to(device))
    return Batch(inputs, batch.present.to(device), target, batch.sizes)


def _floats(model: Model) -> dict[str, Tensor]:
    """Parameters and running statistics of all that is not frozen."""
    return {k: v for k, v in model.trainable_state_dict().items() if v.is_floating_point()}


@torch.no_grad()
def _follow(mean: dict[str, Tensor], model: Model, decay: float) -> None:
    now = model.state_dict()
    for name, value in mean.items():
        value.lerp_(now[name], 1 - decay)


@torch.no_grad()
def evaluate(
    model: Model, weights: Mapping[str, Tensor], rows: BatchLoader | None, stage: Stage
) -> dict[str, float]:
    """How the network does on these rows with these weights; its own are put back. Empty without rows.

    The metrics of `aisle.metrics.overall`; level1, level2, …: accuracy of each level; nll: the mean negative
    log-likelihood, in nats.
    """
    if rows is None:
        return {}
    own = {k: v.clone() for k, v in model.state_dict().items() if k in weights}
    model.load_state_dict(dict(weights), strict=False)
    model.eval()
    device = next(model.parameters()).device
    best, nll = [], []
    for batch in rows.in_order(256, stage.views):
        here = _to(batch, device)
        scores = model(here.inputs, here.present).scores
        best.append(scores.topk(1)[0][:, 0].cpu().numpy())
        nll.append(scores.nll(here.target.node, here.target.exact).cpu().numpy())
    model.load_state_dict(own, strict=False)
    judged = Truth.of(rows.taxonomy, rows.targets).judge(np.concatenate(best))
    levels = {f"level{n}": at_level(judged, n).right for n in range(1, rows.taxonomy.depth + 1)}
    return {
        "nll": float(np.concatenate(nll).mean()),
        **overall_metrics(judged),
        **{name: float(right.mean()) if len(right) else math.nan for name, right in levels.items()},
    }
