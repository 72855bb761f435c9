"""Which stages share what rests: a pretrained encoder's outputs are kept on disk until a stage learns it.

Such an encoder is frozen, and run once, up to the first stage that trains it.
"""

from collections.abc import Collection
from typing import NamedTuple

import torch

from aisle.models import finetune
from aisle.models.model import Model
from aisle.training.recipe import Recipe


class Phase(NamedTuple):
    """Consecutive stages, by number, and the views whose encoders keep still throughout."""

    stages: range
    still: frozenset[str]


def phases_of(recipe: Recipe, cacheable: Collection[str]) -> list[Phase]:
    """The phases of a recipe. cacheable: views read by pretrained encoders."""
    frozen = {name for name, view in recipe.views.items() if view.freeze}
    learning: set[str] = set()
    found: list[Phase] = []
    for number, stage in enumerate(recipe.stages):
        learning |= stage.trained_parts(recipe.views) & set(recipe.views) - frozen
        still = frozenset(frozen | set(cacheable) - learning)
        begun = found.pop().stages.start if found and found[-1].still == still else number
        found.append(Phase(range(begun, number + 1), still))
    return found


def kept_for_later(recipe: Recipe) -> set[str | None]:
    """The names of stages from whose weights later ones start."""
    return {stage.init_from for stage in recipe.stages}


def setup(model: Model, recipe: Recipe, phase: Phase, before: Phase | None) -> None:
    """Set the network up for a phase: what keeps still, and how much of the rest may learn.

    Raises:
        RecipeError: as `aisle.models.finetune.prepare_finetuning`.
    """
    torch.manual_seed(recipe.seed)  # a run resumed here draws the same adapters
    resting = set(recipe.views) if before is None else before.still
    for name, view in recipe.views.items():
        if view.finetune and name in resting and name not in phase.still:
            finetune.prepare_finetuning(model.encoders[name], view.finetune, name)  # type: ignore[arg-type]
    model.freeze(set(phase.still))


def teardown(model: Model, recipe: Recipe) -> None:
    """Training is over: adapters become part of the weights they lie beside."""
    for encoder in model.encoders.values():
        finetune.merge_adapters(encoder)
    model.freeze({name for name, view in recipe.views.items() if view.freeze})
