"""Which stages share what rests: a pretrained encoder's outputs are kept on disk until a stage learns it.

Such an encoder is frozen, and run once, up to the first stage that trains it; views with `axes` are learned
along them, and the network folded, up to the first stage that trains one of their encoders.
"""

from collections.abc import Collection
from typing import NamedTuple

import torch

from aisle.errors import RecipeError
from aisle.models import finetune
from aisle.models.model import Model
from aisle.training.recipe import Recipe


class Phase(NamedTuple):
    """Consecutive stages, by number: the views whose encoders keep still throughout, and whether views are
    learned along axes. last: the name of the last stage."""

    stages: range
    still: frozenset[str]
    along_axes: bool
    last: str


def phases_of(recipe: Recipe, costly: Collection[str]) -> list[Phase]:
    """The phases of a recipe. costly: views read by pretrained encoders.

    Raises:
        RecipeError: a stage starts from one that was learned along axes, across the fold.
    """
    frozen = {name for name, view in recipe.views.items() if view.frozen}
    axes = {name for name, view in recipe.views.items() if view.axes}
    learning: set[str] = set()
    found: list[Phase] = []
    for number, stage in enumerate(recipe.stages):
        named = set(recipe.views if "*" in stage.train else stage.train) - set(stage.rest)
        learning |= named & set(recipe.views) - frozen
        still = frozenset(frozen | set(costly) - learning)
        along = bool(axes) and not axes & learning & set(costly)
        begun = number
        if found and found[-1][1:3] == (still, along):
            begun = found.pop().stages.start
        found.append(Phase(range(begun, number + 1), still, along, stage.name))
    if axes and not found[0].along_axes:
        name = min(axes & learning & set(costly))
        raise RecipeError(
            f"view {name!r} has axes, but stage {recipe.stages[0].name!r} trains its encoder at once; freeze "
            f"it, set views.{name}.axes = 0, or put a stage before with rest = [{name!r}]"
        )
    _check_starts(recipe, found)
    return found


def _check_starts(recipe: Recipe, phases: list[Phase]) -> None:
    folded = {
        recipe.stages[i].name: phase.stages.stop for phase in phases if phase.along_axes for i in phase.stages
    }
    for number, stage in enumerate(recipe.stages):
        end = folded.get(stage.start or "", len(recipe.stages))
        if number >= end and not (number == end and stage.start == recipe.stages[end - 1].name):
            raise RecipeError(
                f"stage {stage.name!r} starts from {stage.start!r}, which is learned along axes that are "
                "folded since; leave `start` out: it goes on from the stage before"
            )


def kept_for_later(recipe: Recipe, phases: list[Phase]) -> set[str | None]:
    """The names of stages whose weights are needed again: later stages start there, or a resumed run folds
    them."""
    return {stage.start for stage in recipe.stages} | {p.last for p in phases[:-1] if p.along_axes}


def enter(model: Model, recipe: Recipe, phase: Phase, before: Phase | None) -> None:
    """Set the network up for a phase: what keeps still, and how much of the rest may learn.

    Raises:
        RecipeError: as `aisle.models.finetune.prepare`.
    """
    torch.manual_seed(recipe.seed)  # a run resumed here draws the same adapters
    resting = set(recipe.views) if before is None else before.still
    for name, view in recipe.views.items():
        if view.finetune and name in resting and name not in phase.still:
            finetune.prepare(model.encoders[name], view.finetune, name)  # type: ignore[arg-type]
    model.freeze(set(phase.still))


def leave(model: Model, recipe: Recipe) -> None:
    """Training is over: adapters become part of the weights they lie beside."""
    for encoder in model.encoders.values():
        finetune.merge(encoder)
    model.freeze({name for name, view in recipe.views.items() if view.frozen})
