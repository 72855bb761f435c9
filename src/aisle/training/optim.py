"""The parameters that a stage trains, its optimizer and its learning rate schedule."""

import math
from typing import Any

import torch
from torch import nn

from aisle.models.finetune import layers_from_top
from aisle.models.model import Model
from aisle.training.network_recipe import Stage


def parts_of(model: Model) -> dict[str, nn.Module]:
    """The parts that a stage can name: each view's encoder, `fusion`, `head`."""
    return {**model.encoders, "fusion": model.fusion, "head": model.head}


def part_of(parameter: str) -> str:
    """The part that a parameter belongs to; a missing token belongs to its view."""
    top, _, rest = parameter.partition(".")
    return rest.split(".")[0] if top in ("encoders", "missing_token") else top


def frozen_parts(model: Model, stage: Stage) -> list[nn.Module]:
    """The parts that a stage does not train, which stay in eval mode."""
    trained = stage.trained_parts(model.views)
    return [part for name, part in parts_of(model).items() if name not in trained]


def set_trainable(model: Model, stage: Stage) -> list[nn.Parameter]:
    """Set `requires_grad` for a stage; missing tokens are always trained.

    Returns:
        The parameters to train.
    """
    trained = stage.trained_parts(model.views)
    for name, parameter in model.named_parameters():
        free = name.startswith("missing_token.") or part_of(name) in trained
        parameter.requires_grad_(free and model.is_trainable(name))
    return [p for p in model.parameters() if p.requires_grad]


def make_optimizer(
    model: Model, loss: nn.Module, stage: Stage, trained: list[nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimizer of a stage; each parameter group has its highest learning rate as `max_lr`.

    Args:
        model: the network.
        loss: its parameters are trained too.
        stage: optimizer, rates and weight decay.
        trained: the parameters of the network to train.
    """
    trained_ids, factors = {id(p) for p in trained}, _layer_factors(model)
    by_group: dict[tuple[str, bool, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if id(parameter) in trained_ids:
            # Biases, norms and missing tokens have no weight decay.
            group = part_of(name), parameter.ndim > 1, factors.get(name, 1.0)
            by_group.setdefault(group, []).append(parameter)
    groups: list[dict[str, Any]] = [
        {
            "params": parameters,
            "max_lr": stage.lr * stage.lr_multipliers.get(part, 1.0) * factor,
            "weight_decay": stage.weight_decay if decayed else 0.0,
        }
        for (part, decayed, factor), parameters in by_group.items()
    ]
    loss_parameters = [p for p in loss.parameters() if p.requires_grad]
    if loss_parameters:
        groups.append({"params": loss_parameters, "max_lr": stage.lr, "weight_decay": 0.0})
    options = {"fused": True} if stage.optimizer in ("AdamW", "Adam", "SGD") else {}  # one pass over memory
    return getattr(torch.optim, stage.optimizer)(groups, lr=stage.lr, **options)


def _layer_factors(model: Model) -> dict[str, float]:
    """Factors on the learning rate by parameter, from `layer_decay` (Howard & Ruder, arXiv 1801.06146)."""
    return {
        f"encoders.{view}.{name}": encoder.layer_decay**depth  # type: ignore[operator]
        for view, encoder in model.encoders.items()
        if encoder.layer_decay != 1.0
        for name, depth in layers_from_top(encoder).items()
    }


def lr_factor(stage: Stage, step: int, total: int) -> float:
    """The learning rate at a step, as a factor on the highest: it rises in the warm-up, then follows the
    schedule.

    Args:
        stage: warm-up and schedule.
        step: from 0.
        total: number of steps.
    """
    warmup_steps = stage.warmup * total
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = (step - warmup_steps) / max(total - warmup_steps, 1)
    if stage.schedule == "cosine-restarts":
        progress = progress * stage.cycles % 1
    if stage.schedule.startswith("cosine"):
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 1.0 if stage.schedule == "constant" else 1 - progress
