"""Encoders that start with the weights of an earlier run: `init_from` of a view's encoder.

A text model trained on its own so becomes the text view of a multimodal network, whatever the rest of that
network is. The encoder's options, its preprocessor (tokenizer, vocabulary) and its weights are the run's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, cast

from aisle.errors import RecipeError
from aisle.inference.loading import open_model
from aisle.inference.predictor import Predictor
from aisle.models.config import EncoderSpec
from aisle.models.preprocessing import Preprocessor
from aisle.models.registry import Encoder
from aisle.training.network_recipe import NetworkRecipe


class EncoderStart(NamedTuple):
    """An encoder of an earlier run.

    Attributes:
        spec: its class and options.
        images: the most images that its view reads of a product.
        encoder: the encoder, with its weights.
        preprocessor: its fitted preprocessor.
    """

    spec: EncoderSpec
    images: int
    encoder: Encoder
    preprocessor: Preprocessor


def encoder_starts(recipe: NetworkRecipe, trust_code: bool) -> dict[str, EncoderStart]:
    """The encoders that a recipe takes from earlier runs, by view.

    Of a run's views the one of the same name is taken, else the only one with an encoder of the same class.

    Raises:
        RecipeError: a run is not a network, or it is not clear which of its encoders is meant.
        BundleError: a run does not exist, or its model is damaged.
    """
    runs: dict[str, Predictor] = {}
    starts = {}
    for name, view in recipe.views.items():
        source = view.encoder.init_from
        if source is None:
            continue
        if source not in runs:
            model = open_model(Path(source), trust_code, "cpu")
            if not isinstance(model, Predictor):
                raise RecipeError(
                    f"views.{name}.encoder.init_from: {source} is not a network and has no encoder"
                )
            runs[source] = model
        run = runs[source]
        matched = _matching_view(name, view.encoder, run, source)
        known = run.spec.views[matched]
        starts[name] = EncoderStart(
            known.encoder.model_copy(update={"init_from": source}),
            known.images,
            cast(Encoder, run.model.encoders[matched]),
            run.preprocessors[matched],
        )
    return starts


def with_encoders_of(recipe: NetworkRecipe, starts: Mapping[str, EncoderStart]) -> NetworkRecipe:
    """The recipe with the encoder options of the earlier runs."""
    views = {
        name: view.model_copy(update={"encoder": starts[name].spec, "images": starts[name].images})
        if name in starts
        else view
        for name, view in recipe.views.items()
    }
    return recipe.model_copy(update={"views": views})


def _matching_view(name: str, encoder: EncoderSpec, run: Predictor, source: str) -> str:
    """The run's view whose encoder a view starts from."""
    views = run.spec.views
    if name in views and views[name].encoder.type == encoder.type:
        return name
    same = [other for other, view in views.items() if view.encoder.type == encoder.type]
    if len(same) == 1:
        return same[0]
    has = ", ".join(f"{other} ({view.encoder.type})" for other, view in views.items())
    raise RecipeError(
        f"views.{name}.encoder.init_from: {source} has no view {name!r} with a {encoder.type}, and "
        f"{'several' if same else 'no'} other views with one. Its views: {has}"
    )
