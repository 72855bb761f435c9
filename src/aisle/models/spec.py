"""Builds a network from its configuration."""

import inspect
from collections.abc import Mapping
from typing import Any

from aisle.errors import RecipeError, did_you_mean
from aisle.models import encoders, fusions, heads
from aisle.models.config import ModelSpec, ViewSpec
from aisle.models.model import Model
from aisle.models.preprocessing import Preprocessor
from aisle.models.registry import CONSTRUCTOR_ERRORS, Context, Encoder, Fusion, build_part, find_part
from aisle.models.views import View


def encoder_class(view: ViewSpec, trust_code: bool = False) -> type[Encoder]:
    """The class of a view's encoder."""
    return find_part(encoders, "encoder", view.encoder.type, trust_code)


def network_views(spec: ModelSpec, trust_code: bool = False) -> dict[str, View]:
    """What each view reads of a product, by name."""
    fields = {name: tuple(view.fields or (name,)) for name, view in spec.views.items()}
    named = tuple(field for view_fields in fields.values() for field in view_fields if field != "*")
    return {
        name: View(name, encoder_class(view, trust_code).modality, fields[name], named, view.images)
        for name, view in spec.views.items()
    }


def new_preprocessor(spec: ViewSpec, trust_code: bool = False) -> Preprocessor:
    """An unfitted preprocessor for a view.

    The table of an encoder in a recipe holds its own options and those of its preprocessor.

    Raises:
        RecipeError: an unknown option, or an invalid value.
    """
    cls = encoder_class(spec, trust_code)
    known = inspect.signature(cls.preprocessor_class).parameters
    options = {*known, *inspect.signature(cls).parameters} - {"preprocessor", "config", "images"}
    for key in spec.encoder.options:
        if key not in options:
            near = did_you_mean(key, options)
            raise RecipeError(f"encoder {spec.encoder.type} has no option {key!r}.{near}")
    arguments = {key: value for key, value in spec.encoder.options.items() if key in known}
    if "images" in known:
        arguments["images"] = spec.images
    try:
        return cls.preprocessor_class(**arguments)
    except CONSTRUCTOR_ERRORS as error:
        raise RecipeError(f"encoder {spec.encoder.type}: {error}") from error


def build_network(
    spec: ModelSpec,
    preprocessors: Mapping[str, Preprocessor],
    context: Context,
    configs: Mapping[str, dict[str, Any]] | None = None,
    trust_code: bool = False,
) -> Model:
    """Build a network.

    Args:
        spec: its configuration.
        preprocessors: a fitted one by view.
        context: the tree and training counts, for the head.
        configs: configurations of pretrained encoders by view, from a bundle; their weights are not loaded.
        trust_code: whether outside code may be imported.

    Raises:
        RecipeError: a part is unknown, or its options are invalid.
        MissingModelError: pretrained weights cannot be read.
    """
    built, fusion = build_encoders_and_fusion(spec, preprocessors, configs, trust_code)
    head_class = find_part(heads, "head", spec.head.type, trust_code)
    head = build_part(head_class, "head", spec.head.options, context=context, dim=fusion.dim)
    model = Model(built, fusion, head, spec.view_dropout, spec.max_tokens)
    model.freeze({name for name, view in spec.views.items() if view.freeze})
    return model


def build_encoders_and_fusion(
    spec: ModelSpec,
    preprocessors: Mapping[str, Preprocessor],
    configs: Mapping[str, dict[str, Any]] | None = None,
    trust_code: bool = False,
) -> tuple[dict[str, Encoder], Fusion]:
    """Build the encoders by view, and the fusion; arguments as of `build_network`.

    Raises:
        RecipeError: a part is unknown, or its options are invalid.
        MissingModelError: pretrained weights cannot be read.
    """
    built: dict[str, Encoder] = {}
    for name, view in spec.views.items():
        cls = encoder_class(view, trust_code)
        known = inspect.signature(cls).parameters
        options = {key: value for key, value in view.encoder.options.items() if key in known}
        config = (configs or {}).get(name)
        supplied = {"config": config} if config is not None else {}
        built[name] = build_part(cls, "encoder", options, preprocessor=preprocessors[name], **supplied)
    dims = {name: encoder.dim for name, encoder in built.items()}
    fusion_class: type[Fusion] = find_part(fusions, "fusion", spec.fusion.type, trust_code)
    modalities = {name: encoder_class(view, trust_code).modality for name, view in spec.views.items()}
    fusion = build_part(fusion_class, "fusion", spec.fusion.options, dims=dims, modalities=modalities)
    return built, fusion


def build_for_taxonomy(model: Model, spec: ModelSpec, context: Context) -> Model:
    """A copy of a network for another tree.

    Encoders and fusion are shared; the head's rows are carried over by node id.

    Args:
        model: the network.
        spec: its configuration.
        context: with the other tree.
    """
    head_class = find_part(heads, "head", spec.head.type, trust_code=True)  # trusted when it was built
    head = build_part(head_class, "head", spec.head.options, context=context, dim=model.fusion.dim)
    head.load_from(model.head)
    copied = Model(model.encoders, model.fusion, head, model.view_dropout, model.max_tokens)  # type: ignore[arg-type]
    copied.missing_token = model.missing_token
    copied.freeze(model.frozen)
    return copied.eval()
