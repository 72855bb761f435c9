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
from accelerate import Accelerator
from torch import Tensor, nn

from aisle.metrics import f1_scores
from aisle.model.losses import ByView
from aisle.model.model import Model
from aisle.model.parts import Output, Target
from aisle.progress import Progress
from aisle.training.data import Batch, Rows
from aisle.training.recipe import Stage

State = dict[str, Any]


class WeightedLoss(nn.Module):
    """A recipe's losses, added with their weights."""

    def __init__(self, losses: list[nn.Module], weights: list[float]) -> None:
        super().__init__()
        self.losses, self.weights = nn.ModuleList(losses), weights

    def asks(self, views: Sequence[str]) -> set[str]:
        """The views whose own scores some loss needs."""
        return {name for loss in self.losses if isinstance(loss, ByView) for name in loss.asks(views)}

    def forward(self, output: Output, target: Target) -> Tensor:
        """-> scalar."""
        parts = [w * loss(output, target) for w, loss in zip(self.weights, self.losses, strict=True)]
        return torch.stack(parts).sum()


class Epoch(NamedTuple):
    """One line of `metrics.csv`. Accuracy, nll and macro_f1 are of the stopping part (NaN without one)."""

    stage: str
    epoch: int
    step: int
    loss: float
    rate: float
    accuracy: float
    nll: float
    macro_f1: float
    seconds: float


class Position(NamedTuple):
    """Where in the recipe a stage stands: its number among the stages, and the run's seed."""

    stage: int
    seed: int


def run_stage(
    model: Model,
    loss: WeightedLoss,
    stage: Stage,
    rows: tuple[Rows, Rows | None],
    position: Position,
    state: State | None,
    save: Callable[[State, Epoch], None],
    progress: Progress,
) -> None:
    """Train `model` in place.

    rows: those learned from, and the stopping part. state: what `save` was given after the last whole
    epoch of an interrupted run of this stage.
    """
    fit, stop = rows
    accelerator = Accelerator(gradient_accumulation_steps=stage.accumulate)
    trained = _choose(model, stage)
    alone = loss.asks(model.views)
    module, criterion = accelerator.prepare(model), loss.to(accelerator.device)
    optimizer = accelerator.prepare(_optimizer(model, loss, stage, trained))
    steps = math.ceil(len(fit) / stage.batch)
    epochs = max(stage.epochs, math.ceil(stage.steps / steps))
    total = steps * epochs
    mean = {k: v.detach().clone() for k, v in _floats(model).items()} if stage.average else {}
    best: State = {"value": -math.inf, "epoch": -1, "weights": {}}
    first = 0
    if state:
        model.load_state_dict(state["model"])
        loss.load_state_dict(state["loss"])
        optimizer.load_state_dict(state["optimizer"])
        mean, best, first = state["mean"], state["best"], state["epoch"] + 1
    with progress(f"training {stage.name}", epochs * len(fit)) as advance:
        advance(first * len(fit))
        for epoch in range(first, epochs):
            if stage.patience and epoch - best["epoch"] > stage.patience and best["epoch"] >= 0:
                break
            started = time.perf_counter()
            torch.manual_seed(hash_seed(position, epoch))
            model.train()
            running = 0.0
            batches = fit.shuffled(stage.batch, [position.seed, position.stage, epoch], stage.views)
            for number, batch in enumerate(batches):
                step = epoch * steps + number
                for group in optimizer.param_groups:
                    group["lr"] = group["top"] * _rate(stage, step, total)
                with accelerator.accumulate(module):
                    here = _to(batch, accelerator.device)
                    value = criterion(module(here.inputs, here.present, alone), here.target)
                    accelerator.backward(value)
                    if accelerator.sync_gradients:
                        accelerator.clip_grad_norm_(trained, stage.clip)
                    optimizer.step()
                    optimizer.zero_grad()
                if mean and accelerator.sync_gradients:
                    _follow(mean, model, min(stage.average, (1 + step) / (10 + step)))
                running += float(value.detach()) * len(here.present)
                advance(len(here.present))
            kept = {k: v.clone() for k, v in mean.items()} if mean else _floats(model)
            judged = _judge(model, kept, stop, stage)
            metrics = Epoch(
                stage.name,
                epoch,
                (epoch + 1) * steps,
                running / len(fit),
                stage.rate * _rate(stage, (epoch + 1) * steps - 1, total),
                *judged,
                time.perf_counter() - started,
            )
            value = -metrics.nll if stage.metric == "nll" else getattr(metrics, stage.metric)
            if stage.patience and value > best["value"]:
                best = {"value": value, "epoch": epoch, "weights": {k: v.clone() for k, v in kept.items()}}
            save(_snapshot(model, loss, optimizer, mean, best, epoch), metrics)
    chosen = best["weights"] if stage.patience and best["weights"] else mean
    model.load_state_dict(chosen, strict=False)
    model.eval()


def hash_seed(position: Position, epoch: int) -> int:
    """A seed of its own for every epoch of every stage."""
    return int(np.random.SeedSequence([position.seed, position.stage, epoch]).generate_state(1)[0])


def _choose(model: Model, stage: Stage) -> list[nn.Parameter]:
    """Switch gradients on for the parts that the stage trains, and off for the rest."""
    chosen = set(model.views) | {"fusion", "head"} if "*" in stage.train else set(stage.train)
    for name, parameter in model.named_parameters():
        part = _part_of(name)
        parameter.requires_grad_(part in chosen and part not in model.frozen)
    return [p for p in model.parameters() if p.requires_grad]


def _part_of(name: str) -> str:
    top, _, rest = name.partition(".")
    return rest.split(".")[0] if top in ("encoders", "absent") else top


def _optimizer(
    model: Model, loss: WeightedLoss, stage: Stage, trained: list[nn.Parameter]
) -> torch.optim.Optimizer:
    chosen = {id(p) for p in trained}
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if id(parameter) in chosen:
            # Biases, norms and single tokens are not pulled towards zero.
            groups.setdefault((_part_of(name), parameter.ndim > 1), []).append(parameter)
    tables: list[dict[str, Any]] = [
        {
            "params": parameters,
            "top": stage.rate * stage.rates.get(part, 1.0),
            "weight_decay": stage.decay if decayed else 0.0,
        }
        for (part, decayed), parameters in groups.items()
    ]
    own = [p for p in loss.parameters() if p.requires_grad]
    if own:
        tables.append({"params": own, "top": stage.rate, "weight_decay": 0.0})
    options = {"fused": True} if stage.optimizer in ("AdamW", "Adam", "SGD") else {}  # one pass over memory
    return getattr(torch.optim, stage.optimizer)(tables, lr=stage.rate, **options)


def _rate(stage: Stage, step: int, total: int) -> float:
    """The share of the highest rate at a step: rising over the warm-up, then falling to 0."""
    warm = stage.warmup * total
    if step < warm:
        return (step + 1) / (warm + 1)
    done = (step - warm) / max(total - warm, 1)
    if stage.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1.0 if stage.schedule == "constant" else 1 - done


def _to(batch: Batch, device: torch.device) -> Batch:
    if device.type == "cpu":
        return batch
    inputs = {v: {k: t.to(device) for k, t in arrays.items()} for v, arrays in batch.inputs.items()}
    target = Target(batch.target.node.to(device), batch.target.exact.to(device))
    return Batch(inputs, batch.present.to(device), target)


def _floats(model: Model) -> dict[str, Tensor]:
    """Parameters and running statistics of what is trained."""
    return {
        k: v
        for k, v in model.state_dict().items()
        if v.is_floating_point() and _part_of(k) not in model.frozen
    }


@torch.no_grad()
def _follow(mean: dict[str, Tensor], model: Model, decay: float) -> None:
    now = model.state_dict()
    for name, value in mean.items():
        value.lerp_(now[name], 1 - decay)


@torch.no_grad()
def _judge(
    model: Model, weights: Mapping[str, Tensor], rows: Rows | None, stage: Stage
) -> tuple[float, float, float]:
    """Accuracy, negative log-likelihood and macro-F1 on the stopping part, with these weights."""
    if rows is None:
        return math.nan, math.nan, math.nan
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
    found, truth = np.concatenate(best), rows.targets.node
    return (
        float((found == truth).mean()),
        float(np.concatenate(nll).mean()),
        f1_scores(truth, found).macro,
    )


def _snapshot(
    model: Model,
    loss: WeightedLoss,
    optimizer: torch.optim.Optimizer,
    mean: Mapping[str, Tensor],
    best: State,
    epoch: int,
) -> State:
    return {
        "epoch": epoch,
        "model": model.state_dict(),
        "loss": loss.state_dict(),
        "optimizer": optimizer.state_dict(),
        "mean": dict(mean),
        "best": best,
    }
