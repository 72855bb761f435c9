"""What a network is made of, as data: the part of a recipe that a bundle keeps. No torch here.

Everything is validated here, so a misspelled key names its nearest neighbour wherever it is read.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from aisle.errors import RecipeError, did_you_mean
from aisle.models.options import Augment, Finetune, Strict

_TAKEN = frozenset(  # by torch's containers, and the network's other parts
    [
        "T_destination",
        "add_module",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "clear",
        "compile",
        "copy",
        "cpu",
        "cuda",
        "double",
        "dump_patches",
        "eval",
        "extra_repr",
        "float",
        "forward",
        "fromkeys",
        "fusion",
        "get",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "head",
        "ipu",
        "items",
        "keys",
        "load_state_dict",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "parameters",
        "pop",
        "popitem",
        "register_backward_hook",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook",
        "register_module",
        "register_parameter",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "requires_grad_",
        "set_extra_state",
        "set_submodule",
        "setdefault",
        "share_memory",
        "state_dict",
        "to",
        "to_empty",
        "train",
        "training",
        "type",
        "update",
        "values",
        "xpu",
        "zero_grad",
    ]
)


class PartSpec(BaseModel):
    """A part by the name of its class, with its constructor's options beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    type: str

    @property
    def options(self) -> dict[str, Any]:
        """The constructor's options."""
        return dict(self.model_extra or {})


class ViewSpec(Strict):
    """One view.

    fields: what it reads (text: the view's own name unless given; `["*"]`: all that no other view names).
    images: at most so many of a product's (image). freeze: its encoder is never trained.
    finetune: how much of its encoder learns. augment: how texts and pictures vary meanwhile; without this
    table they do not.
    """

    encoder: PartSpec
    fields: list[str] | None = None
    images: int = Field(default=1, ge=1)
    freeze: bool = False
    finetune: Finetune | None = None
    augment: Augment | None = None

    @model_validator(mode="after")
    def _frozen_or_not(self) -> Self:
        if self.freeze and (self.finetune or self.augment):
            raise ValueError(
                "a frozen encoder neither finetunes nor needs augmented rows: set freeze = false"
            )
        return self


class ModelSpec(Strict):
    """views -> fusion -> head. view_dropout: how often, in training, a present view is treated as absent.
    max_tokens: the most that a view hands to a fusion that reads them."""

    views: dict[str, ViewSpec] = Field(min_length=1)
    fusion: PartSpec
    head: PartSpec
    view_dropout: float = Field(default=0.1, ge=0, lt=1)
    max_tokens: int = Field(default=64, ge=1)

    @field_validator("views")
    @classmethod
    def _usable_names(cls, views: dict[str, ViewSpec]) -> dict[str, ViewSpec]:
        for name in views:  # a name becomes a folder in the bundle, and an attribute of torch's containers
            if not re.fullmatch(r"[^\W\d_][\w-]*", name):
                raise ValueError(f"view name {name!r} is not letters, digits, - and _, a letter first")
            if name in _TAKEN:
                raise ValueError(f"view name {name!r} is taken: call it my_{name}, with fields = [{name!r}]")
        return views

    def without(self, names: set[str]) -> Self:
        """The same with these views left out."""
        kept = {name: view for name, view in self.views.items() if name not in names}
        options = _forget(self.fusion.model_dump(), names)
        return self.model_copy(update={"views": kept, "fusion": PartSpec.model_validate(options)})


def _forget(value: Any, names: set[str]) -> Any:
    """The same without these views' names, in whatever lists and tables an option holds them."""
    if isinstance(value, dict):
        return {key: _forget(item, names) for key, item in value.items() if key not in names}
    if isinstance(value, list):
        kept = [_forget(item, names) for item in value if not isinstance(item, str) or item not in names]
        return [item for item in kept if item != []]
    return value


Spec = TypeVar("Spec", bound=BaseModel)


def validated(kind: type[Spec], data: Mapping[str, Any], what: str) -> Spec:
    """Read a recipe's or a bundle's tables.

    Raises:
        RecipeError: the first thing that is wrong, where it stands, and the nearest known key.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part, kinds in _walked(kind, first["loc"]) if str(part) not in kinds)
        if first["type"] == "extra_forbidden":
            *above, key = first["loc"]
            near = did_you_mean(str(key), _known_keys(kind, above))
            raise RecipeError(f"{what}: unknown key {where!r}.{near}") from None
        message = first["msg"].removeprefix("Value error, ")
        value = "" if first["type"] == "missing" else f" (got {first['input']!r:.60})"
        raise RecipeError(f"{what}: {where}: {message}{value}") from None


def _walked(kind: Any, path: Sequence[Any]) -> list[tuple[Any, set[str]]]:
    """Each part of a path with the `type`s that its table is chosen among: pydantic puts the chosen one
    into the path, and a recipe has no such key."""
    found = []
    for part in path:
        tags = _tags(kind)
        found.append((part, set(tags)))
        kind = tags[part] if part in tags else _below(kind, part)
    return found


def _below(kind: Any, part: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.model_fields[part].annotation if part in kind.model_fields else None
    return get_args(kind)[-1] if get_args(kind) else None  # dict[str, X] or list[X]: what it holds


def _tags(kind: Any) -> dict[str, Any]:
    """The tables of a union told apart by `type`, each by its value."""
    if get_origin(kind) is not Annotated:
        return {}
    tables = get_args(get_args(kind)[0])
    return {table.model_fields["type"].default: table for table in tables}


def _known_keys(kind: Any, path: Sequence[Any]) -> list[str]:
    """The keys of the table that `path` leads to."""
    for part in path:
        tags = _tags(kind)
        kind = tags[part] if part in tags else _below(kind, part)
    kinds = [k for k in (kind, *get_args(kind)) if isinstance(k, type) and issubclass(k, BaseModel)]
    return [key for k in kinds for key in k.model_fields]
