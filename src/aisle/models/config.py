"""Configuration of a network: the part of a recipe that a bundle keeps. No torch here.

Validation errors name the nearest known key.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from aisle.errors import RecipeError, did_you_mean
from aisle.models.options import Augment, Finetune, Strict, check_view_name

# Attributes of torch's containers, and the names of the network's other parts.
_RESERVED = """
T_destination add_module apply bfloat16 buffers call_super_init children clear compile copy cpu cuda
double dump_patches eval extra_repr float forward fromkeys fusion get get_buffer get_extra_state
get_parameter get_submodule half head ipu items keys load_state_dict modules mtia named_buffers
named_children named_modules named_parameters parameters pop popitem register_backward_hook
register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook
requires_grad_ set_extra_state set_submodule setdefault share_memory state_dict to to_empty train training
type update values xpu zero_grad
"""


class PartSpec(BaseModel):
    """An encoder, fusion, head or loss.

    Attributes:
        type: the name of its class, or outside code as `my_file:Name`; all other keys are its options.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    type: str

    @property
    def options(self) -> dict[str, Any]:
        """The constructor's options."""
        return dict(self.model_extra or {})


class EncoderSpec(PartSpec):
    """A view's encoder.

    Attributes:
        init_from: a run, or the model in it, whose encoder of this view training starts from. The encoder's
            options are then those of the run.
    """

    init_from: str | None = None


class ViewSpec(Strict):
    """One view.

    Attributes:
        encoder: the encoder's class and its options.
        fields: names of the product's fields that it reads, the view's own name by default; `["*"]` reads all
            that no other view names.
        images: the most images read of a product.
        freeze: whether the encoder is never trained.
        finetune: how much of the encoder is trained; all of it by default.
        augment: random changes of texts and images in training; none by default.
    """

    encoder: EncoderSpec
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
    """A network: views, fusion, head.

    Attributes:
        views: by name.
        fusion: the fusion's class and its options.
        head: the head's class and its options.
        view_dropout: probability that a present view counts as missing in training.
        max_tokens: the most tokens of a view that reach a fusion which reads them.
    """

    views: dict[str, ViewSpec] = Field(min_length=1)
    fusion: PartSpec
    head: PartSpec
    view_dropout: float = Field(default=0.1, ge=0, lt=1)
    max_tokens: int = Field(default=64, ge=1)

    @field_validator("views")
    @classmethod
    def _usable_names(cls, views: dict[str, ViewSpec]) -> dict[str, ViewSpec]:
        for name in views:  # a name becomes a folder in the bundle, and an attribute of torch's containers
            check_view_name(name)
            if name in _RESERVED.split():
                raise ValueError(f"view name {name!r} is taken: call it my_{name}, with fields = [{name!r}]")
        return views

    def without(self, names: set[str]) -> Self:
        """A copy without these views."""
        kept = {name: view for name, view in self.views.items() if name not in names}
        options = _remove_names(self.fusion.model_dump(), names)
        return self.model_copy(update={"views": kept, "fusion": PartSpec.model_validate(options)})


def _remove_names(value: Any, names: set[str]) -> Any:
    """The options of a fusion without these views' names, in nested lists and tables."""
    if isinstance(value, dict):
        return {key: _remove_names(item, names) for key, item in value.items() if key not in names}
    if isinstance(value, list):
        kept = [
            _remove_names(item, names) for item in value if not isinstance(item, str) or item not in names
        ]
        return [item for item in kept if item != []]
    return value


Spec = TypeVar("Spec", bound=BaseModel)


def validate(model: type[Spec], data: Mapping[str, Any], source: str) -> Spec:
    """Validate a table of a recipe or bundle.

    Args:
        model: the pydantic model.
        data: the table.
        source: where it comes from, for messages.

    Raises:
        RecipeError: the first error, with its key and the nearest known key.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        path, table = _resolve(model, first["loc"])
        where = ".".join(path)
        if first["type"] == "extra_forbidden":
            near = did_you_mean(path[-1], _keys(table))
            raise RecipeError(f"{source}: unknown key {where!r}.{near}") from None
        message = first["msg"].removeprefix("Value error, ")
        value = "" if first["type"] == "missing" else f" (got {first['input']!r:.60})"
        raise RecipeError(f"{source}: {where}: {message}{value}") from None


def _resolve(model: Any, loc: Sequence[Any]) -> tuple[list[str], Any]:
    """The keys of a pydantic error location, and the type that holds the last one.

    In a union discriminated by `type`, pydantic adds the chosen type to the location; it is no key.
    """
    path: list[str] = []
    annotation, parent = model, model
    for part in loc:
        parent, choices = annotation, _union_members(annotation)
        if part in choices:
            annotation = choices[part]
        else:
            path.append(str(part))
            annotation = _annotation_of(annotation, part)
    return path, parent


def _annotation_of(annotation: Any, key: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.model_fields[key].annotation if key in annotation.model_fields else None
    return get_args(annotation)[-1] if get_args(annotation) else None  # X of dict[str, X] or list[X]


def _union_members(annotation: Any) -> dict[str, Any]:
    """The models of a union discriminated by `type`, by the value of `type`."""
    if get_origin(annotation) is not Annotated:
        return {}
    return {model.model_fields["type"].default: model for model in get_args(get_args(annotation)[0])}


def _keys(annotation: Any) -> list[str]:
    """The keys of a model, or of every model in a union."""
    models = (annotation, *get_args(annotation))
    return [k for m in models if isinstance(m, type) and issubclass(m, BaseModel) for k in m.model_fields]
