"""How much of an encoder learns: all of it, its last layers, or low-rank adapters beside its weights.

Whatever may not learn keeps still as a whole: its weights, its BatchNorm's statistics, and its dropout, so
the lower half of an encoder gives the same in training as later.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from aisle.errors import RecipeError, did_you_mean, extra
from aisle.models.options import Finetune
from aisle.models.registry import Encoder

_UNUSED = "pooler."  # its output is not read: no gradient would reach it


def prepare(encoder: Encoder, plan: Finetune, view: str) -> None:
    """Set an encoder up to be finetuned: `encoder.fixed` names the parameters that stay, `encoder.slower`
    says how the rate falls from layer to layer; with `lora_rank` the adapters are put in.

    Raises:
        RecipeError: it has fewer layers, or none that an adapter fits.
        MissingExtraError: peft is not installed.
    """
    names = [name for name, _ in encoder.named_parameters()]
    fixed = {name for name in names if _UNUSED in name}
    if plan.last_layers is not None:
        depth = depths(encoder)
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
        _checkpoint(encoder, view)
    encoder.fixed, encoder.slower = frozenset(fixed), plan.layer_decay


def depths(encoder: nn.Module) -> dict[str, int]:
    """How far below the top each parameter lies: 0 in the last layer and after it, one more a layer down;
    what comes before the first layer counts as one more."""
    body = getattr(encoder, "body", encoder)
    inside = "body." if body is not encoder else ""
    layers = _layers(_stacks(body, inside))
    below, depth = len(layers), {}
    for name, _ in encoder.named_parameters():
        at = next((i for i, paths in enumerate(layers) if name.startswith(paths)), None)
        if at is not None:
            below = len(layers) - 1 - at
        elif below < len(layers):
            below = 0
        depth[name] = below
    return depth


def _stacks(module: nn.Module, path: str) -> list[tuple[str, nn.Module]]:
    """The outermost lists of layers."""
    if isinstance(module, nn.ModuleList | nn.Sequential) and len(module) > 1:
        return [(path, module)]
    return [found for name, child in module.named_children() for found in _stacks(child, f"{path}{name}.")]


def _layers(stacks: list[tuple[str, nn.Module]]) -> list[tuple[str, ...]]:
    """The paths of each layer, bottom to top. Some families keep a list a kind of block (XLM, FlauBERT):
    lists of one length and of different kinds lie beside each other, all others one after another."""
    lengths = {len(list(stack.children())) for _, stack in stacks}
    kinds = {type(next(stack.children())) for _, stack in stacks}
    paths = [[f"{path}{name}." for name, _ in stack.named_children()] for path, stack in stacks]
    if len(lengths) == 1 and len(kinds) > 1:
        return list(zip(*paths, strict=True))
    return [(path,) for stack in paths for path in stack]


def still(encoder: nn.Module) -> list[str]:
    """The paths of the outermost modules that hold weights and may learn none of them."""
    fixed = getattr(encoder, "fixed", frozenset())
    return list(_still(encoder, "", fixed)) if fixed else []


def _still(module: nn.Module, path: str, fixed: frozenset[str]) -> Iterator[str]:
    for name, child in module.named_children():
        inside = f"{path}{name}"
        weights = [f"{inside}.{key}" for key, _ in child.named_parameters()]
        if weights and fixed.issuperset(weights):
            yield inside
        elif weights:
            yield from _still(child, f"{inside}.", fixed)


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
        if isinstance(base, nn.Conv2d):  # MobileNetV2 asks its convolutions how far they reach
            for name in ("stride", "kernel_size", "dilation"):
                setattr(module, name, getattr(base, name))


def _targets(encoder: Encoder, plan: Finetune, view: str) -> list[str]:
    """The modules to adapt: those named, else every linear map, else every convolution of all channels."""
    body = getattr(encoder, "body", encoder)
    inside = "body." if body is not encoder else ""
    usable = {inside + n: m for n, m in body.named_modules() if _UNUSED not in f"{n}." and _fits(m)}
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


def _fits(module: nn.Module) -> bool:
    # By exact type: torch's own attention calls a subclass of Linear past its forward. Depthwise convolutions
    # have a channel each: there is no rank to lower.
    return type(module) is nn.Linear or (type(module) is nn.Conv2d and module.groups == 1)


def merge(encoder: nn.Module) -> None:
    """Add what adapters learned to the weights they lie beside, and take them out again."""
    try:
        from peft.tuners.tuners_utils import BaseTunerLayer
    except ImportError:  # then there are none
        return
    for name, module in list(encoder.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            above, _, last = name.rpartition(".")
            setattr(encoder.get_submodule(above), last, module.get_base_layer())
    for weight in encoder.parameters():
        # As it comes back from a file: one that lies otherwise in memory rounds otherwise. `contiguous` would
        # leave the strides of 1 x 1 convolutions alone.
        weight.data = weight.data.clone(memory_format=torch.contiguous_format)
    encoder.fixed = frozenset()  # type: ignore[assignment]


def _checkpoint(encoder: Encoder, view: str) -> None:
    body = getattr(encoder, "body", None)
    if not getattr(body, "supports_gradient_checkpointing", False):
        raise RecipeError(
            f"views.{view}.finetune.gradient_checkpointing: "
            f"{type(body or encoder).__name__} cannot recompute its activations; leave it out"
        )
    start: Any = body.gradient_checkpointing_enable  # type: ignore[union-attr]
    start(gradient_checkpointing_kwargs={"use_reentrant": False})
