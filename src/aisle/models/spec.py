"""What a network is made of, as data: the part of a recipe that a bundle keeps.

Everything is validated here, so a misspelled key names its nearest neighbour wherever it is read.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from torch import nn

from aisle.errors import RecipeError, did_you_mean
from aisle.models import encoders, fusions, heads
from aisle.models.model import Model
from aisle.models.options import Augment, Finetune, Strict
from aisle.models.preprocessing import Preparer
from aisle.models.registry import REFUSALS, Context, Encoder, Fusion, build_part, find_part
from aisle.models.views import View


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
    pictures: at most so many of a product's (image). frozen: its encoder stays as it is. axes: along how many
    principal axes of the training rows it is learned (see aisle.training.pca), until a stage finetunes its
    encoder. scale: their coordinates times this. finetune: how much of its encoder learns. augment: how
    texts and pictures vary meanwhile; without this table they do not.
    """

    encoder: PartSpec
    fields: list[str] | None = None
    pictures: int = Field(default=1, ge=1)
    frozen: bool = False
    axes: int = Field(default=0, ge=0)
    scale: float = Field(default=1.0, gt=0)
    finetune: Finetune | None = None
    augment: Augment | None = None

    @model_validator(mode="after")
    def _frozen_or_not(self) -> Self:
        if self.frozen and (self.finetune or self.augment):
            raise ValueError(
                "a frozen encoder neither finetunes nor needs augmented rows: set frozen = false"
            )
        return self


class ModelSpec(Strict):
    """views -> fusion -> head. view_dropout: how often, in training, a present view is treated as absent.
    tokens: the most that a view hands to a fusion that reads them."""

    views: dict[str, ViewSpec] = Field(min_length=1)
    fusion: PartSpec
    head: PartSpec
    view_dropout: float = Field(default=0.1, ge=0, lt=1)
    tokens: int = Field(default=64, ge=1)

    @field_validator("views")
    @classmethod
    def _usable_names(cls, views: dict[str, ViewSpec]) -> dict[str, ViewSpec]:
        # A name becomes a folder in the bundle and an attribute of torch's containers.
        containers = nn.ModuleDict(), nn.ParameterDict()
        for name in views:
            if not re.fullmatch(r"[^\W\d_][\w-]*", name):
                raise ValueError(f"view name {name!r} is not letters, digits, - and _, a letter first")
            if name in ("fusion", "head") or any(hasattr(one, name) for one in containers):
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
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            *above, key = first["loc"]
            near = did_you_mean(str(key), _known_keys(kind, above))
            raise RecipeError(f"{what}: unknown key {where!r}.{near}") from None
        message = first["msg"].removeprefix("Value error, ")
        value = "" if first["type"] == "missing" else f" (got {first['input']!r:.60})"
        raise RecipeError(f"{what}: {where}: {message}{value}") from None


def _known_keys(kind: Any, path: Sequence[Any]) -> list[str]:
    """The keys of the table that `path` leads to."""
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[part].annotation if part in kind.model_fields else None
        else:  # dict[str, X] or list[X]: the last argument is what it holds
            kind = get_args(kind)[-1] if get_args(kind) else None
    kinds = [k for k in (kind, *get_args(kind)) if isinstance(k, type) and issubclass(k, BaseModel)]
    return [key for k in kinds for key in k.model_fields]


def encoder_class(view: ViewSpec, trust_code: bool = False) -> type[Encoder]:
    """The class that a view's encoder names."""
    return find_part(encoders, "encoder", view.encoder.type, trust_code)


def views_of(spec: ModelSpec, trust_code: bool = False) -> dict[str, View]:
    """What each view takes from a product."""
    named = {name: _fields(name, view) for name, view in spec.views.items()}
    taken = tuple(field for fields in named.values() for field in fields if field != "*")
    return {
        name: View(name, encoder_class(view, trust_code).modality, named[name], taken, view.pictures)
        for name, view in spec.views.items()
    }


def _fields(name: str, view: ViewSpec) -> tuple[str, ...]:
    return tuple(view.fields) if view.fields else (name,)


def new_preparer(spec: ViewSpec, trust_code: bool = False) -> Preparer:
    """An unfitted preparer for a view, with those of the encoder's options that are its own."""
    cls = encoder_class(spec, trust_code)
    prepare = cls.prepare_class
    known = inspect.signature(prepare).parameters
    both = {*known, *inspect.signature(cls).parameters} - {"prepare", "config", "pictures"}
    for key in spec.encoder.options:
        if key not in both:
            near = did_you_mean(key, both)
            raise RecipeError(f"encoder {spec.encoder.type} has no option {key!r}.{near}")
    own = {key: value for key, value in spec.encoder.options.items() if key in known}
    if "pictures" in known:
        own["pictures"] = spec.pictures
    try:
        return prepare(**own)
    except REFUSALS as error:
        raise RecipeError(f"encoder {spec.encoder.type}: {error}") from error


def build(
    spec: ModelSpec,
    preparers: Mapping[str, Preparer],
    context: Context,
    configs: Mapping[str, dict[str, Any]] | None = None,
    trust_code: bool = False,
) -> Model:
    """The network of a spec. configs: pretrained encoders' configurations, kept in a bundle; with one, no
    weights are fetched.

    Raises:
        RecipeError: a part is unknown or refuses its options.
        MissingModelError: pretrained weights are not here.
    """
    built, fusion = build_body(spec, preparers, configs, trust_code)
    head_class = find_part(heads, "head", spec.head.type, trust_code)
    head = build_part(head_class, "head", spec.head.options, context=context, dim=fusion.dim)
    model = Model(built, fusion, head, spec.view_dropout, spec.tokens)
    model.freeze({name for name, view in spec.views.items() if view.frozen})
    return model


def build_body(
    spec: ModelSpec,
    preparers: Mapping[str, Preparer],
    configs: Mapping[str, dict[str, Any]] | None = None,
    trust_code: bool = False,
) -> tuple[dict[str, Encoder], Fusion]:
    """The encoders, by view, and the fusion of a network without its head.

    Raises:
        RecipeError, MissingModelError: as `build`.
    """
    built: dict[str, Encoder] = {}
    for name, view in spec.views.items():
        cls = encoder_class(view, trust_code)
        known = inspect.signature(cls).parameters
        options = {key: value for key, value in view.encoder.options.items() if key in known}
        config = (configs or {}).get(name)
        given = {"config": config} if config is not None else {}
        built[name] = build_part(cls, "encoder", options, prepare=preparers[name], **given)
    dims = {name: encoder.dim for name, encoder in built.items()}
    fusion_class: type[Fusion] = find_part(fusions, "fusion", spec.fusion.type, trust_code)
    modalities = {name: encoder_class(view, trust_code).modality for name, view in spec.views.items()}
    fusion = build_part(fusion_class, "fusion", spec.fusion.options, dims=dims, modalities=modalities)
    return built, fusion


def build_like(model: Model, spec: ModelSpec, context: Context) -> Model:
    """The same network over another tree: encoders and fusion shared, the head's rows carried over by id."""
    head_class = find_part(heads, "head", spec.head.type, trust_code=True)  # as it was when it was built
    head = build_part(head_class, "head", spec.head.options, context=context, dim=model.fusion.dim)
    head.adopt(model.head)
    like = Model(model.encoders, model.fusion, head, model.view_dropout, model.tokens)  # type: ignore[arg-type]
    like.absent = model.absent
    like.freeze(model.frozen)
    return like.eval()
