"""Configuration that linear models and networks share, and the options of finetuning and augmentation."""

import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """A table of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def check_view_name(name: str) -> None:
    """Check that a view's name can name a folder.

    Raises:
        ValueError: it cannot.
    """
    if not re.fullmatch(r"[^\W\d_][\w-]*", name):
        raise ValueError(f"view name {name!r} is not letters, digits, - and _, a letter first")


class Finetune(Strict):
    """How much of an encoder is trained, where the view is not frozen; all of it without this table.

    Attributes:
        last_layers: only this many of its last layers, and what comes after them.
        lora_rank: rank of low-rank adapters (LoRA, arXiv 2106.09685) on its linear layers, or its
            convolutions where it has no linear layer; the weights themselves stay fixed. Needs the extra
            `finetune`.
        lora_alpha: adapters are scaled by lora_alpha / lora_rank.
        target_modules: the layers that get an adapter, by the end of their names; all by default.
        lora_dropout: dropout on the adapters' input.
        layer_decay: factor on the learning rate from each layer to the one below it (arXiv 1801.06146).
        gradient_checkpointing: recompute activations in the backward pass: less memory, a third more time.
    """

    last_layers: int | None = Field(default=None, ge=1)
    lora_rank: int | None = Field(default=None, ge=1)
    lora_alpha: float = Field(default=16.0, gt=0)
    target_modules: list[str] | None = None
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    gradient_checkpointing: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.last_layers is not None and self.lora_rank is not None:
            raise ValueError("`last_layers` and `lora_rank` are two ways: keep one")
        return self


class Augment(Strict):
    """Random changes of a view's texts and images in training, while its encoder is trained.

    Attributes:
        word_dropout: share of words left out.
        word_swap: share of words swapped with the next one.
        typos: share of words with one letter changed, lost or doubled.
        case: probability that a text is in capitals or in small letters.
        field_dropout: probability that all fields after the first (a description) are left out.
        min_crop: smallest share of an image's area that a random crop keeps.
        flip: probability that an image is mirrored.
        rotation: largest angle by which an image is turned, in degrees; corners take the mean colour.
        color_jitter: largest relative change of brightness, contrast and saturation.
    """

    word_dropout: float = Field(default=0.1, ge=0, lt=1)
    word_swap: float = Field(default=0.05, ge=0, le=1)
    typos: float = Field(default=0.02, ge=0, le=1)
    case: float = Field(default=0.1, ge=0, le=1)
    field_dropout: float = Field(default=0.1, ge=0, le=1)
    min_crop: float = Field(default=0.5, gt=0, le=1)
    flip: float = Field(default=0.5, ge=0, le=1)
    rotation: float = Field(default=0.0, ge=0, le=180)
    color_jitter: float = Field(default=0.2, ge=0, lt=1)
