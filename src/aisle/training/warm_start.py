"""Going on from an earlier model with new rows and new categories (`--init-from`).

Nodes keep their ids, and what was learned of them; new ones begin with what their names generate. Words that
are new join the vocabularies. Views along axes learn beside the earlier network: what it made of them is one
view more, and folding joins both, so that words which the new rows do not have keep their meaning.
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


def check_shape(start: Predictor, spec: ModelSpec) -> None:
    """Whether a recipe's network is the one to start from.

    Raises:
        RecipeError: it is another one; the first difference is named.
    """
    old, new = (_shape(one) for one in (start.spec, spec))
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key):
            raise RecipeError(
                f"the recipe's network is not that of the model to start from: {key} is "
                f"{new.get(key, 'not there')!r:.60}, there {old.get(key, 'not there')!r:.60}; "
                "leave --recipe out to take the run's own"
            )


def _shape(spec: ModelSpec) -> dict[str, Any]:
    """What weights depend on."""
    views = {
        f"views.{name}.{key}": value
        for name, view in spec.views.items()
        for key, value in (("encoder", view.encoder.model_dump()), ("fields", view.fields))
    }
    head = {k: v for k, v in spec.head.model_dump().items() if k != "dropout"}
    return {**views, "fusion": spec.fusion.model_dump(), "head": head}


def preprocessors_from(start: Predictor, catalog: Catalog) -> dict[str, Preprocessor]:
    """The earlier model's, whose vocabularies know the words of these rows too."""
    views = network_views(start.spec, trust_code=True)  # asked for when it was loaded
    return {
        name: prepare.extended(views[name].value(product) for product in catalog)
        if isinstance(prepare, TfidfPreprocessor)
        else prepare
        for name, prepare in start.preprocessors.items()
    }


def model_from(
    start: Predictor, spec: ModelSpec, preprocessors: Mapping[str, Preprocessor], context: Context
) -> Model:
    """The earlier network over the grown tree and vocabularies, to be trained further."""
    model = build_for_taxonomy(copy.deepcopy(start.model), spec, context)
    for name, prepare in preprocessors.items():
        encoder = model.encoders[name]
        if isinstance(encoder, encoders.TfidfEncoder) and isinstance(prepare, TfidfPreprocessor):
            encoder.resize(prepare.size)
    model.view_dropout, model.max_tokens = spec.view_dropout, spec.max_tokens
    model.freeze({name for name, view in spec.views.items() if view.freeze})
    return model
