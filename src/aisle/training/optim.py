"""What a stage trains of a network, with which optimizer, at which rate."""

import math
from typing import Any

import torch
from torch import nn

from aisle.models.finetune import layers_from_top
from aisle.models.model import Model
from aisle.training.recipe import Stage


def parts_of(model: Model) -> dict[str, nn.Module]:
    """What a stage can name: each view's encoder, `fusion`, `head`."""
    return {**model.encoders, "fusion": model.fusion, "head": model.head}


def part_of(parameter: str) -> str:
    """The part that a parameter belongs to; a view's token for absence belongs to the view."""
    top, _, rest = parameter.partition(".")
    return rest.split(".")[0] if top in ("encoders", "missing_token") else top


def frozen_parts(model: Model, stage: Stage) -> list[nn.Module]:
    """The parts that a stage does not train: they stay in eval mode, without dropout."""
    trained = stage.trained_parts(model.views)
    return [part for name, part in parts_of(model).items() if name not in trained]


def set_trainable(model: Model, stage: Stage) -> list[nn.Parameter]:
    """Switch gradients on for what a stage trains, off for the rest; missing tokens are always trained."""
    trained = stage.trained_parts(model.views)
    for name, parameter in model.named_parameters():
        free = name.startswith("missing_token.") or part_of(name) in trained
        parameter.requires_grad_(free and model.is_trainable(name))
    return [p for p in model.parameters() if p.requires_grad]


def optimizer_of(
    model: Model, loss: nn.Module, stage: Stage, trained: list[nn.Parameter]
) -> torch.optim.Optimizer:
    """The stage's optimizer; each group's highest rate is kept in it as `top`."""
    chosen, share = {id(p) for p in trained}, _layer_rates(model)
    groups: dict[tuple[str, bool, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if id(parameter) in chosen:
            # Biases, norms and single tokens are not pulled towards zero.
            group = part_of(name), parameter.ndim > 1, share.get(name, 1.0)
            groups.setdefault(group, []).append(parameter)
    tables: list[dict[str, Any]] = [
        {
            "params": parameters,
            "top": stage.lr * stage.lr_multipliers.get(part, 1.0) * share,
            "weight_decay": stage.weight_decay if decayed else 0.0,
        }
        for (part, decayed, share), parameters in groups.items()
    ]
    own = [p for p in loss.parameters() if p.requires_grad]
    if own:
        tables.append({"params": own, "top": stage.lr, "weight_decay": 0.0})
    options = {"fused": True} if stage.optimizer in ("AdamW", "Adam", "SGD") else {}  # one pass over memory
    return getattr(torch.optim, stage.optimizer)(tables, lr=stage.lr, **options)


def _layer_rates(model: Model) -> dict[str, float]:
    """By parameter, the share of its part's rate where an encoder's lower layers learn more slowly (Howard
    and Ruder, arXiv 1801.06146)."""
    return {
        f"encoders.{view}.{name}": encoder.layer_decay**depth  # type: ignore[operator]
        for view, encoder in model.encoders.items()
        if encoder.layer_decay != 1.0
        for name, depth in layers_from_top(encoder).items()
    }


def rate_at(stage: Stage, step: int, total: int) -> float:
    """The share of the highest rate at a step: rising over the warm-up, then falling to 0."""
    warm = stage.warmup * total
    if step < warm:
        return (step + 1) / (warm + 1)
    done = (step - warm) / max(total - warm, 1)
    if stage.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1.0 if stage.schedule == "constant" else 1 - done
