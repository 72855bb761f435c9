"""Groups consecutive stages by the encoders that are frozen in them.

A pretrained encoder is frozen, and run once, until the first stage that trains it.
"""

from collections.abc import Collection
from typing import NamedTuple

import torch

from aisle.models import finetune
from aisle.models.model import Model
from aisle.training.network_recipe import NetworkRecipe


class Phase(NamedTuple):
    """Consecutive stages with the same frozen encoders.

    Attributes:
        stages: numbers of the stages.
        frozen: views whose encoders are frozen.
    """

    stages: range
    frozen: frozenset[str]


def phases_of(recipe: NetworkRecipe, cacheable: Collection[str]) -> list[Phase]:
    """The phases of a recipe.

    Args:
        recipe: its stages.
        cacheable: views with pretrained encoders.
    """
    always_frozen = {name for name, view in recipe.views.items() if view.freeze}
    trained: set[str] = set()
    phases: list[Phase] = []
    for number, stage in enumerate(recipe.stages):
        trained |= stage.trained_parts(recipe.views) & set(recipe.views) - always_frozen
        frozen = frozenset(always_frozen | set(cacheable) - trained)
        first = phases.pop().stages.start if phases and phases[-1].frozen == frozen else number
        phases.append(Phase(range(first, number + 1), frozen))
    return phases


def init_from_stages(recipe: NetworkRecipe) -> set[str | None]:
    """The names of stages whose weights later stages start from."""
    return {stage.init_from for stage in recipe.stages}


def setup(model: Model, recipe: NetworkRecipe, phase: Phase, previous: Phase | None) -> None:
    """Freeze the encoders of a phase, and prepare the finetuning of those that are trained from now on.

    Args:
        model: the network, changed in place.
        recipe: its options of finetuning.
        phase: the phase that begins.
        previous: the phase before.

    Raises:
        RecipeError: as `aisle.models.finetune.prepare_finetuning`.
    """
    torch.manual_seed(recipe.seed)  # adapters are the same when a run is resumed here
    frozen_before = set(recipe.views) if previous is None else previous.frozen
    for name, view in recipe.views.items():
        if view.finetune and name in frozen_before and name not in phase.frozen:
            finetune.prepare_finetuning(model.encoders[name], view.finetune, name)  # type: ignore[arg-type]
    model.freeze(set(phase.frozen))


def teardown(model: Model, recipe: NetworkRecipe) -> None:
    """Merge adapters into the weights after training."""
    for encoder in model.encoders.values():
        finetune.merge_adapters(encoder)
    model.freeze({name for name, view in recipe.views.items() if view.freeze})
