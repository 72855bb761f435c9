"""The recipe of a fusion network: views, losses, and stages of training."""

import re
from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, field_validator

from aisle.errors import RecipeError, did_you_mean
from aisle.metrics import overall
from aisle.models.config import ModelSpec, PartSpec
from aisle.models.options import Strict
from aisle.training.recipe_options import RecipeBase


class LossSpec(PartSpec):
    """A loss.

    Attributes:
        weight: its weight in the sum of losses.
    """

    weight: float = Field(default=1.0, ge=0)


class Stage(Strict):
    """One training stage: trained parts, initial weights and duration.

    Attributes:
        name: name of the stage, for messages and for `init_from`.
        views: views that are read; the others count as missing, and their encoders are not trained. All by
            default.
        freeze: what else is not trained: views (their encoders; the missing token is always trained),
            `fusion`, `head`.
        init_from: an earlier stage whose weights this one starts from; the previous stage by default.
        epochs: passes over the rows; more where `min_steps` needs them.
        min_steps: the fewest optimizer steps.
        batch_size: rows per batch.
        optimizer: a class of `torch.optim`.
        lr: the highest learning rate.
        lr_multipliers: factors on `lr` for single views, `fusion` or `head`.
        weight_decay: L2 penalty on matrices; biases, norms and tokens have none.
        warmup: share of all steps in which the learning rate rises.
        schedule: how the learning rate falls after that; `cosine-restarts` starts anew `cycles` times (SGDR,
            Loshchilov and Hutter, arXiv 1608.03983).
        cycles: of `cosine-restarts`.
        max_grad_norm: the largest gradient norm.
        gradient_accumulation_steps: batches per optimizer step.
        patience: epochs without a better `metric` before the stage ends with its best weights; 0 never
            stops early.
        stop_at: value of `metric` on the validation rows at which the stage ends, with these weights.
        metric: nll, one of `aisle.metrics.overall`, or the accuracy of a level: level1, level2, …
        ema_decay: decay of the exponential moving average of weights, which replaces the last weights; 0 is
            off.
    """

    name: str = "train"
    freeze: list[str] = Field(default_factory=list)
    views: list[str] | None = None
    init_from: str | None = None
    epochs: int = Field(default=20, ge=1)
    min_steps: int = Field(default=0, ge=0)
    batch_size: int = Field(default=64, ge=1)
    optimizer: Literal["AdamW", "Adam", "RAdam", "RMSprop", "SGD"] = "AdamW"
    lr: float = Field(default=1e-3, gt=0)
    lr_multipliers: dict[str, float] = Field(default_factory=dict)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    schedule: Literal["cosine", "cosine-restarts", "linear", "constant"] = "cosine"
    cycles: int = Field(default=3, ge=1)
    max_grad_norm: float = Field(default=1.0, gt=0)
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    patience: int = Field(default=0, ge=0)
    stop_at: float | None = None
    metric: str = "accuracy"
    ema_decay: float = Field(default=0.0, ge=0, lt=1)

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, name: str) -> str:
        metrics = (*overall.__all__, "nll")
        if name not in metrics and not re.fullmatch(r"level[1-9]\d*", name):
            known = f"{', '.join(metrics)}, level1, level2, …"
            raise ValueError(f"no metric {name!r}: {known}.{did_you_mean(name, metrics)}")
        return name

    @property
    def watches_metric(self) -> bool:
        """Whether `metric` on the validation rows decides when the stage ends, and with which weights."""
        return bool(self.patience) or self.stop_at is not None

    def without(self, names: set[str]) -> "Stage":
        """A copy without these views."""
        views = None if self.views is None else [name for name in self.views if name not in names]
        rates = {name: rate for name, rate in self.lr_multipliers.items() if name not in names}
        freeze = [name for name in self.freeze if name not in names]
        return self.model_copy(update={"views": views, "freeze": freeze, "lr_multipliers": rates})

    def trained_parts(self, views: Iterable[str]) -> set[str]:
        """The views among `views`, `fusion` and `head` that this stage trains."""
        read = {name for name in views if self.views is None or name in self.views}
        return (read | {"fusion", "head"}) - set(self.freeze)


class NetworkRecipe(RecipeBase, ModelSpec):
    """A fusion network, its losses and its stages.

    Attributes:
        text_encoder: folder or hub name of a text encoder, for parts that name this key instead.
        image_encoder: the same for images.
        precision: precision of training; by default bf16 on GPUs of compute capability 8.0 or more, else
            fp32. fp16 scales the loss and needs a GPU.
        label_name_examples: add each category's name as a training row.
        view_dropout: probability that a present view is treated as missing in training.
        max_tokens: the most tokens a view gives to a fusion that reads them; of more, neighbors are
            averaged.
    """

    family: Literal["network"] = "network"
    text_encoder: str | None = None
    image_encoder: str | None = None
    precision: Literal["fp32", "bf16", "fp16"] | None = None
    label_name_examples: bool = False
    losses: list[LossSpec] = Field(default_factory=lambda: [LossSpec(type="CrossEntropyLoss")])
    stages: list[Stage] = Field(default_factory=lambda: [Stage()], min_length=1)

    @property
    def network(self) -> ModelSpec:
        """The keys that a bundle keeps."""
        return ModelSpec(**{name: getattr(self, name) for name in ModelSpec.model_fields})

    def without(self, names: set[str]) -> Self:
        """A copy without these views, and without the stages that train only them.

        Raises:
            RecipeError: no stage is left.
        """
        recipe = super().without(names)
        stages = [stage.without(names) for stage in self.stages]
        trained = {name for name, view in recipe.views.items() if not view.freeze}
        kept = [stage for stage in stages if stage.views != [] and stage.trained_parts(trained)]
        if not kept:
            raise RecipeError(
                f"recipe {self.name!r} trains only views that are left out: {', '.join(sorted(names))}"
            )
        names_kept = {stage.name for stage in kept}
        stages = [s if s.init_from in names_kept else s.model_copy(update={"init_from": None}) for s in kept]
        return recipe.model_copy(update={"stages": stages})


def check_stages(recipe: NetworkRecipe, source: str) -> None:
    """Check that stages refer to existing views and earlier stages, and that each trains something.

    Args:
        recipe: the recipe.
        source: where it comes from, for messages.

    Raises:
        RecipeError: a stage is wrong.
    """
    parts = {*recipe.views, "fusion", "head"}
    stages = [stage.name for stage in recipe.stages]
    for i, stage in enumerate(recipe.stages):
        for name in (*stage.freeze, *stage.lr_multipliers, *(stage.views or ())):
            if name not in parts:
                raise RecipeError(
                    f"{source}: stage {stage.name!r} names {name!r}.{did_you_mean(name, parts)}"
                )
        if stage.init_from is not None and stage.init_from not in stages[:i]:
            suggestion = did_you_mean(stage.init_from, stages[:i])
            raise RecipeError(
                f"{source}: stage {stage.name!r} starts from {stage.init_from!r}, no earlier stage."
                f"{suggestion}"
            )
        if stage.name in stages[:i]:
            raise RecipeError(f"{source}: two stages are called {stage.name!r}; give each a name of its own")
        if stage.watches_metric and not recipe.split.validation:
            key = "patience" if stage.patience else "stop_at"
            raise RecipeError(
                f"{source}: stage {stage.name!r} has {key}, but there are no validation rows; "
                f"set split.validation = 0.05, or leave out stages.{i}.{key}"
            )
        if not stage.trained_parts(name for name, view in recipe.views.items() if not view.freeze):
            raise RecipeError(f"{source}: stage {stage.name!r} freezes everything; shorten `freeze`")
