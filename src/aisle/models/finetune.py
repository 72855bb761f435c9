"""Finetuning of encoders: all layers, the last layers, or low-rank adapters (LoRA).

Frozen layers stay in eval mode: neither BatchNorm statistics nor dropout change what they compute in
training.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from aisle.errors import RecipeError, did_you_mean, extra
from aisle.models.options import Finetune
from aisle.models.registry import Encoder

_UNUSED = "pooler."  # its output is not read, so it gets no gradient


def prepare_finetuning(encoder: Encoder, plan: Finetune, view: str) -> None:
    """Set `frozen_parameters` and `layer_decay` of an encoder, and insert adapters with `lora_rank`.

    Args:
        encoder: the encoder, which is changed in place.
        plan: what is trained.
        view: name of its view, for messages.

    Raises:
        RecipeError: the encoder has fewer layers than asked for, or none that takes adapters.
        MissingExtraError: peft is not installed.
    """
    names = [name for name, _ in encoder.named_parameters()]
    fixed = {name for name in names if _UNUSED in name}
    if plan.last_layers is not None:
        depth = layers_from_top(encoder)
        count = max(depth.values(), default=0)
        if plan.last_layers > count:
            kind = type(encoder).__name__
            raise RecipeError(
                f"views.{view}.finetune.last_layers is {plan.last_layers}, but {kind} has {count} layers"
            )
        fixed |= {name for name in names if depth.get(name, 0) >= plan.last_layers}
    if plan.lora_rank is not None:
        _add_adapters(encoder, plan, view)
        inside = "body." if hasattr(encoder, "body") else ""
        fixed = {n for n, _ in encoder.named_parameters() if n.startswith(inside) and ".lora_" not in n}
    if plan.gradient_checkpointing:
        _enable_checkpointing(encoder, view)
    encoder.frozen_parameters, encoder.layer_decay = frozenset(fixed), plan.layer_decay


def layers_from_top(encoder: nn.Module) -> dict[str, int]:
    """The depth of each parameter, counted from the last layer.

    Returns:
        By name: 0 in the last layer and after it, 1 in the layer below, and so on; parameters before the
        first layer count as one more layer.
    """
    body = getattr(encoder, "body", encoder)
    inside = "body." if body is not encoder else ""
    layers = _layers(_layer_lists(body, inside))
    below, depth = len(layers), {}
    for name, _ in encoder.named_parameters():
        at = next((i for i, paths in enumerate(layers) if name.startswith(paths)), None)
        if at is not None:
            below = len(layers) - 1 - at
        elif below < len(layers):
            below = 0
        depth[name] = below
    return depth


def _layer_lists(module: nn.Module, path: str) -> list[tuple[str, nn.Module]]:
    """The outermost lists of layers, with their paths."""
    if isinstance(module, nn.ModuleList | nn.Sequential) and len(module) > 1:
        return [(path, module)]
    return [
        found for name, child in module.named_children() for found in _layer_lists(child, f"{path}{name}.")
    ]


def _layers(lists: list[tuple[str, nn.Module]]) -> list[tuple[str, ...]]:
    """The paths of the modules of each layer, bottom to top.

    Some families (XLM, FlauBERT) have one list per kind of module: lists of equal length and different kinds
    are parallel, all others consecutive.
    """
    lengths = {len(list(layers.children())) for _, layers in lists}
    kinds = {type(next(layers.children())) for _, layers in lists}
    paths = [[f"{path}{name}." for name, _ in layers.named_children()] for path, layers in lists]
    if len(lengths) == 1 and len(kinds) > 1:
        return list(zip(*paths, strict=True))
    return [(path,) for layers in paths for path in layers]


def frozen_modules(encoder: nn.Module) -> list[str]:
    """The paths of the outermost modules whose parameters are all frozen."""
    fixed = getattr(encoder, "frozen_parameters", frozenset())
    return list(_frozen_modules(encoder, "", fixed)) if fixed else []


def _frozen_modules(module: nn.Module, path: str, fixed: frozenset[str]) -> Iterator[str]:
    for name, child in module.named_children():
        inside = f"{path}{name}"
        weights = [f"{inside}.{key}" for key, _ in child.named_parameters()]
        if weights and fixed.issuperset(weights):
            yield inside
        elif weights:
            yield from _frozen_modules(child, f"{inside}.", fixed)


# -- adapters -----------------------------------------------------------------------------------------


def _add_adapters(encoder: Encoder, plan: Finetune, view: str) -> None:
    peft = extra("peft", "finetune", f"views.{view}.finetune.lora_rank")
    assert plan.lora_rank is not None
    targets = _targets(encoder, plan, view)
    alpha: Any = plan.lora_alpha  # peft's own type is narrower than what it takes
    config = peft.LoraConfig(
        r=plan.lora_rank,
        lora_alpha=alpha,
        lora_dropout=plan.lora_dropout,
        target_modules=targets,
        bias="none",
    )
    peft.inject_adapter_in_model(config, encoder)
    for module in encoder.modules():
        base = getattr(module, "base_layer", None)
        if isinstance(base, nn.Conv2d):  # MobileNetV2 reads these attributes
            for name in ("stride", "kernel_size", "dilation"):
                setattr(module, name, getattr(base, name))


def _targets(encoder: Encoder, plan: Finetune, view: str) -> list[str]:
    """The modules that get adapters: those named, else every linear layer, else every full convolution."""
    body = getattr(encoder, "body", encoder)
    inside = "body." if body is not encoder else ""
    usable = {inside + n: m for n, m in body.named_modules() if _UNUSED not in f"{n}." and _takes_adapter(m)}
    if plan.target_modules:
        ends = {name.split(".")[-1] for name in usable}
        for target in plan.target_modules:
            if not any(f".{name}".endswith(f".{target}") for name in usable):
                near = did_you_mean(target, ends)
                raise RecipeError(
                    f"views.{view}.finetune.target_modules: no layer {target!r} of "
                    f"{type(encoder).__name__} takes adapters.{near} "
                    f"There are: {', '.join(sorted(ends)[:12]) or 'none'}"
                )
        ends_with = tuple(f".{target}" for target in plan.target_modules)
        return [name for name in usable if f".{name}".endswith(ends_with)]
    linear = [name for name, module in usable.items() if type(module) is nn.Linear]
    if not usable:
        raise RecipeError(
            f"views.{view}.finetune.lora_rank: {type(encoder).__name__} has no linear or convolution layer "
            "to adapt; use `last_layers`, or leave `finetune` out"
        )
    return linear or list(usable)


def _takes_adapter(module: nn.Module) -> bool:
    # By exact type: torch's attention uses a subclass of Linear without calling its forward. The kernel of a
    # depthwise convolution has one channel, so there is no rank to reduce.
    return type(module) is nn.Linear or (type(module) is nn.Conv2d and module.groups == 1)


def merge_adapters(encoder: nn.Module) -> None:
    """Add the adapters of an encoder to its weights, and remove them."""
    try:
        from peft.tuners.tuners_utils import BaseTunerLayer
    except ImportError:  # then there are no adapters
        return
    for name, module in list(encoder.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, attribute = name.rpartition(".")
            setattr(encoder.get_submodule(parent), attribute, module.get_base_layer())
    for weight in encoder.parameters():
        # The memory layout of weights read from a file, because rounding depends on it. `contiguous` would
        # keep the strides of 1 x 1 convolutions.
        weight.data = weight.data.clone(memory_format=torch.contiguous_format)
    encoder.frozen_parameters = frozenset()  # type: ignore[assignment]


def _enable_checkpointing(encoder: Encoder, view: str) -> None:
    body = getattr(encoder, "body", None)
    if not getattr(body, "supports_gradient_checkpointing", False):
        raise RecipeError(
            f"views.{view}.finetune.gradient_checkpointing: "
            f"{type(body or encoder).__name__} cannot recompute its activations; leave it out"
        )
    enable: Any = body.gradient_checkpointing_enable  # type: ignore[union-attr]
    enable(gradient_checkpointing_kwargs={"use_reentrant": False})
