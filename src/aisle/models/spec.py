"""From a network's configuration to its modules."""

import inspect
from collections.abc import Mapping
from typing import Any

from aisle.errors import RecipeError, did_you_mean
from aisle.models import encoders, fusions, heads
from aisle.models.config import ModelSpec, ViewSpec
from aisle.models.model import Model
from aisle.models.preprocessing import Preprocessor
from aisle.models.registry import REFUSALS, Context, Encoder, Fusion, build_part, find_part
from aisle.models.views import View


def encoder_class(view: ViewSpec, trust_code: bool = False) -> type[Encoder]:
    """The class that a view's encoder names."""
    return find_part(encoders, "encoder", view.encoder.type, trust_code)


def views_of(spec: ModelSpec, trust_code: bool = False) -> dict[str, View]:
    """What each view takes from a product."""
    named = {name: _fields(name, view) for name, view in spec.views.items()}
    taken = tuple(field for fields in named.values() for field in fields if field != "*")
    return {
        name: View(name, encoder_class(view, trust_code).modality, named[name], taken, view.images)
        for name, view in spec.views.items()
    }


def _fields(name: str, view: ViewSpec) -> tuple[str, ...]:
    return tuple(view.fields) if view.fields else (name,)


def new_preprocessor(spec: ViewSpec, trust_code: bool = False) -> Preprocessor:
    """An unfitted preprocessor for a view, with those of the encoder's options that are its own."""
    cls = encoder_class(spec, trust_code)
    prepare = cls.preprocessor_class
    known = inspect.signature(prepare).parameters
    both = {*known, *inspect.signature(cls).parameters} - {"preprocessor", "config", "images"}
    for key in spec.encoder.options:
        if key not in both:
            near = did_you_mean(key, both)
            raise RecipeError(f"encoder {spec.encoder.type} has no option {key!r}.{near}")
    own = {key: value for key, value in spec.encoder.options.items() if key in known}
    if "images" in known:
        own["images"] = spec.images
    try:
        return prepare(**own)
    except REFUSALS as error:
        raise RecipeError(f"encoder {spec.encoder.type}: {error}") from error


def build(
    spec: ModelSpec,
    preprocessors: Mapping[str, Preprocessor],
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
    built, fusion = build_body(spec, preprocessors, configs, trust_code)
    head_class = find_part(heads, "head", spec.head.type, trust_code)
    head = build_part(head_class, "head", spec.head.options, context=context, dim=fusion.dim)
    model = Model(built, fusion, head, spec.view_dropout, spec.max_tokens)
    model.freeze({name for name, view in spec.views.items() if view.freeze})
    return model


def build_body(
    spec: ModelSpec,
    preprocessors: Mapping[str, Preprocessor],
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
        built[name] = build_part(cls, "encoder", options, preprocessor=preprocessors[name], **given)
    dims = {name: encoder.dim for name, encoder in built.items()}
    fusion_class: type[Fusion] = find_part(fusions, "fusion", spec.fusion.type, trust_code)
    modalities = {name: encoder_class(view, trust_code).modality for name, view in spec.views.items()}
    fusion = build_part(fusion_class, "fusion", spec.fusion.options, dims=dims, modalities=modalities)
    return built, fusion


def build_like(model: Model, spec: ModelSpec, context: Context) -> Model:
    """The same network over another tree: encoders and fusion shared, the head's rows carried over by id."""
    head_class = find_part(heads, "head", spec.head.type, trust_code=True)  # as it was when it was built
    head = build_part(head_class, "head", spec.head.options, context=context, dim=model.fusion.dim)
    head.load_from(model.head)
    like = Model(model.encoders, model.fusion, head, model.view_dropout, model.max_tokens)  # type: ignore[arg-type]
    like.missing_token = model.missing_token
    like.freeze(model.frozen)
    return like.eval()
