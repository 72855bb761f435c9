"""What a view's encoder may learn, and how its inputs vary meanwhile, as data."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """A table of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Finetune(Strict):
    """How much of an encoder learns, where the view is not `frozen`; all of it without this table.

    last: so many of its last layers, and what comes after them. lora: adapters of this rank beside its
    linear maps (its convolutions where it has none), the weights themselves staying as they are; needs the
    extra `finetune`. alpha: adapters count alpha / rank times. targets: the layers that get one, by the
    ends of their names, in place of all. dropout: of what adapters read. decay: each layer learns at this
    multiple of the rate of the one above. checkpoint: activations are computed again instead of kept: less
    memory, a third more time.
    """

    last: int | None = Field(default=None, ge=1)
    lora: int | None = Field(default=None, ge=1)
    alpha: float = Field(default=16.0, gt=0)
    targets: list[str] | None = None
    dropout: float = Field(default=0.0, ge=0, lt=1)
    decay: float = Field(default=1.0, gt=0, le=1)
    checkpoint: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.last is not None and self.lora is not None:
            raise ValueError("`last` and `lora` are two ways: keep one")
        return self


class Augment(Strict):
    """How a view's texts and pictures vary from epoch to epoch while its encoder learns; never otherwise.

    words: the share of words left out. order: the share that changes places with the next. typos: the share
    with a letter changed, lost or doubled. case: the chance that a text is all in capitals or in small
    letters. fields: the chance that all fields after the first (a description) are left out. crop: the
    least share of a picture's area that is kept. flip: the chance that it is mirrored. colour: how far its
    brightness, contrast and saturation change at most.
    """

    words: float = Field(default=0.1, ge=0, lt=1)
    order: float = Field(default=0.05, ge=0, le=1)
    typos: float = Field(default=0.02, ge=0, le=1)
    case: float = Field(default=0.1, ge=0, le=1)
    fields: float = Field(default=0.1, ge=0, le=1)
    crop: float = Field(default=0.5, gt=0, le=1)
    flip: float = Field(default=0.5, ge=0, le=1)
    colour: float = Field(default=0.2, ge=0, lt=1)
