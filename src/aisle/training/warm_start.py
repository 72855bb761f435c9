"""Warm start of a network (`--init-from`) with new rows and categories.

Nodes keep their ids and weights; new nodes start with the weights generated from their names. New words are
added to the vocabularies.
"""

import copy
from collections.abc import Mapping
from typing import Any

from aisle.data import Catalog
from aisle.errors import RecipeError
from aisle.inference.predictor import Predictor
from aisle.models import encoders
from aisle.models.config import ModelSpec
from aisle.models.model import Model
from aisle.models.preprocessing import Preprocessor, TfidfPreprocessor
from aisle.models.registry import Context
from aisle.models.spec import build_for_taxonomy, network_views
from aisle.training.warm_start_rows import extend_vocabularies


def check_same_network(start: Predictor, spec: ModelSpec) -> None:
    """Check that a recipe's network has the weights of the network to start from.

    Raises:
        RecipeError: it differs; the message names the first difference.
    """
    old, new = _weight_options(start.spec), _weight_options(spec)
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key):
            raise RecipeError(
                f"the recipe's network is not that of the model to start from: {key} is "
                f"{new.get(key, 'not there')!r:.60}, there {old.get(key, 'not there')!r:.60}; "
                "leave --recipe out to take the run's own"
            )


def _weight_options(spec: ModelSpec) -> dict[str, Any]:
    """The options that the weights depend on, by key."""
    views = {
        f"views.{name}.{key}": value
        for name, view in spec.views.items()
        for key, value in (("encoder", view.encoder.model_dump()), ("fields", view.fields))
    }
    head = {k: v for k, v in spec.head.model_dump().items() if k != "dropout"}
    return {**views, "fusion": spec.fusion.model_dump(), "head": head}


def preprocessors_from(start: Predictor, catalog: Catalog) -> dict[str, Preprocessor]:
    """The preprocessors of the earlier model, with vocabularies extended by the words of new rows."""
    views = network_views(start.spec, trust_code=True)  # trusted when it was loaded
    return extend_vocabularies(start.preprocessors, views, catalog)


def model_from(
    start: Predictor, spec: ModelSpec, preprocessors: Mapping[str, Preprocessor], context: Context
) -> Model:
    """The earlier network over the merged tree and extended vocabularies, to be trained further."""
    model = build_for_taxonomy(copy.deepcopy(start.model), spec, context)
    for name, preprocessor in preprocessors.items():
        encoder = model.encoders[name]
        if isinstance(encoder, encoders.TfidfEncoder) and isinstance(preprocessor, TfidfPreprocessor):
            encoder.resize(preprocessor.size)
    model.view_dropout, model.max_tokens = spec.view_dropout, spec.max_tokens
    model.freeze({name for name, view in spec.views.items() if view.freeze})
    return model
