"""Training a linear model: preprocessors, encoders, then `aisle.models.linear.fit`. No torch here.

An encoder that was never exported on this machine is the exception: exporting it takes torch once.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from aisle import guarantee
from aisle.data import Catalog, Product
from aisle.errors import AisleError, CatalogError, RecipeError
from aisle.inference.linear.predictor import LinearPredictor, TreeCounts
from aisle.models.features import FeatureStore
from aisle.models.label_embeddings import count_terminals
from aisle.models.linear.config import AnyView, encoder_key, linear_views
from aisle.models.linear.descriptor import ImageDescriptor
from aisle.models.linear.encoders import open_encoders
from aisle.models.linear.fit import TrainingInputs, TrainingRows, fit_linear, read_inputs
from aisle.models.linear.model import LinearModel, add_features, remap_to_taxonomy
from aisle.models.linear.reader import LinearReader
from aisle.models.preprocessing import (
    ImagePreprocessor,
    TfidfPreprocessor,
    TokenPreprocessor,
    VectorPreprocessor,
)
from aisle.models.views import View
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Taxonomy
from aisle.training.cross_fit import FoldModel, cross_fit
from aisle.training.encoder_export import encoder_folder, exported_encoder
from aisle.training.job import Assignment, Trained, fit_preprocessors, pick
from aisle.training.processes import world
from aisle.training.recipe import LinearRecipe
from aisle.training.run import Run
from aisle.training.start_rows import counts_of

__all__ = ["check", "check_start", "check_tree", "load", "readable_views", "train"]


_BLOCK = 256  # rows read at once to see whether a view can be read


def check(recipe: LinearRecipe, trust_code: bool) -> None:
    """Before anything is learned.

    Raises:
        AisleError: several processes are to learn together.
    """
    if world() > 1:
        raise AisleError(f"recipe {recipe.name!r} is linear and trains in one process: leave torchrun out")


def check_start(start: Any, recipe: LinearRecipe) -> None:
    """Whether a model can be gone on from by this recipe.

    Raises:
        RecipeError: it is no linear model, or one with other views.
    """
    if not isinstance(start, LinearPredictor):
        raise RecipeError(
            f"recipe {recipe.name!r} trains a linear model, and the model to start from is none: "
            "name a recipe of its family, or leave --recipe out"
        )
    old, new = start.spec, recipe.model
    for key in ("views", "text_encoder", "image_encoder"):
        before, now = getattr(old, key), getattr(new, key)
        if key == "views":
            now = {name: view for name, view in now.items() if name in before}  # it had none of the others
        if before != now:
            raise RecipeError(
                f"the recipe's {key} differ from those of the model to start from; "
                "leave --recipe out to take the run's own"
            )


def check_tree(recipe: LinearRecipe, taxonomy: Taxonomy) -> None:
    """A linear model learns any tree."""


def load(folder: Path, trust_code: bool) -> LinearPredictor:
    """A finished run's model."""
    return LinearPredictor.load(folder)


def readable_views(recipe: LinearRecipe, trust_code: bool) -> dict[str, View]:
    """What each view takes from a product."""
    return linear_views(recipe.model)


def train(given: Assignment, recipe: LinearRecipe, run: Run | None, progress: Progress) -> Trained:
    """A linear model trained on the rows to fit, not calibrated yet; cross-fitted where there are folds."""
    rows, targets = given.catalog.select(given.split.train), pick(given.targets, given.split.train)
    start: LinearPredictor | None = given.start
    store = given.store or FeatureStore()
    if start is None:
        reader, before = new_reader(rows, recipe, store, progress), None
        if unreadable := _unreadable_views(reader, rows):
            recipe = _without(recipe, unreadable, progress)
            reader = new_reader(rows, recipe, store, progress)
    else:
        reader, before = _grown_start(start, rows, given.taxonomy, store)
    spec = recipe.model if start is None else start.spec
    lesson = TrainingRows(rows, targets, np.ones(len(rows)) if rows.weights is None else rows.weights)
    places = np.unique(targets.node[targets.exact]) if recipe.label_name_examples else np.zeros(0, np.int64)
    lesson = lesson.with_label_names(
        places, [_name_product(given.taxonomy.nodes[node].path) for node in places]
    )
    inputs = read_inputs(spec, reader, lesson.products, progress)

    def fitted(reader: LinearReader, inputs: TrainingInputs, kept: np.ndarray, counts: np.ndarray,
               before: LinearModel | None, progress: Progress) -> LinearPredictor:  # fmt: skip
        """A model of some rows of the lesson."""
        model = fit_linear(
            spec, inputs.select(kept), pick(lesson.targets, kept), lesson.weight[kept], given.taxonomy,
            counts, seed=recipe.seed, progress=progress, start=before,
        )  # fmt: skip
        return LinearPredictor(
            model=model,
            reader=reader,
            context=TreeCounts(given.taxonomy, model.counts),
            policy=guarantee.Policy.uncalibrated(given.taxonomy),
            knn_index=start.knn_index if start is not None else None,
        )

    def without(learned: np.ndarray) -> FoldModel:
        """A model that knows only these rows: their words, their categories' names, their counts."""
        some = rows.select(learned)
        if start is None:
            preprocessors = {**reader.preprocessors, **_new_vocabularies(recipe, some)}
            fold_reader, before = LinearReader(reader.views, preprocessors, reader.encoders, store), None
        else:
            fold_reader, before = _grown_start(start, some, given.taxonomy, store)
        read = read_inputs(spec, fold_reader, lesson.products, SILENT, inputs.dense)
        counts = count_terminals(given.taxonomy, pick(targets, learned))
        counts = counts if start is None else counts_of(start, given.taxonomy, counts)
        named = np.flatnonzero(np.isin(places, targets.node[learned][targets.exact[learned]]))
        kept = np.concatenate([learned, len(rows) + named])
        return FoldModel(fitted(fold_reader, read, kept, counts, before, SILENT), read)

    predictor = fitted(reader, inputs, np.arange(len(lesson.weight)), given.counts, before, progress)
    if given.folds is None:
        return Trained(predictor)
    return Trained(predictor, cross_fit(without, rows, targets, given.folds, progress))


def _new_vocabularies(recipe: LinearRecipe, rows: Catalog) -> dict[str, TfidfPreprocessor]:
    """TF-IDF preprocessors fitted on these rows."""
    every = linear_views(recipe.model)
    views = {name: view for name, view in every.items() if recipe.views[name].type == "Tfidf"}
    preprocessors = {name: new_preprocessor(recipe.views[name], recipe) for name in views}
    fit_preprocessors(preprocessors, views, rows, recipe.seed)
    return preprocessors


def _unreadable_views(reader: LinearReader, rows: Catalog) -> set[str]:
    """Dense views that no row has in a form that can be read, such as broken images alone."""
    lacking = set(reader.views) - set(reader.tfidf)
    for start in range(0, len(rows), _BLOCK):
        if not lacking:
            break
        dense = reader([rows[i] for i in range(start, min(start + _BLOCK, len(rows)))]).dense
        lacking = {name for name in lacking if not np.abs(dense[name]).any()}
    return lacking


def _without(recipe: LinearRecipe, names: set[str], progress: Progress) -> LinearRecipe:
    if names >= set(recipe.views):
        raise CatalogError(f"no row has a view that can be read: {', '.join(sorted(names))}")
    for name in sorted(names):
        progress.say(f"view {name!r} is left out: no row has one that can be read")
    return recipe.without(names)


def _name_product(path: tuple[str, ...]) -> Product:
    """A category's name as a product: the title its own name, the description the names on its path."""
    return Product("", {"title": path[-1], "description": " ".join(path)})


def new_reader(rows: Catalog, recipe: LinearRecipe, store: FeatureStore, progress: Progress) -> LinearReader:
    """A reader of a recipe's views, its vocabularies learned from these rows.

    Raises:
        MissingModelError, MissingExtraError: as `exported_encoder`.
    """
    spec = recipe.model
    homes = {}
    for name, view in spec.views.items():
        key = encoder_key(view)
        if key is not None:
            kind, size = ("text", 0) if key == "text_encoder" else ("image", getattr(view, "size", 0))
            homes[name] = exported_encoder(str(getattr(spec, key)), kind, size, progress)
    views = linear_views(spec)
    preprocessors = {name: new_preprocessor(view, recipe) for name, view in spec.views.items()}
    fit_preprocessors(preprocessors, views, rows, recipe.seed)
    return LinearReader(views, preprocessors, open_encoders(homes, preprocessors), store)


def _values(view: View, rows: Iterable[Product]) -> Iterable[Any]:
    return (view.value(product) for product in rows)


def new_preprocessor(view: AnyView, recipe: LinearRecipe) -> Any:
    """What turns a view's values into arrays, not fitted yet."""
    if view.type == "Tfidf":
        return TfidfPreprocessor(
            max_words=view.max_words, word_bigrams=view.word_bigrams, max_features=view.max_features,
            min_df=view.min_df, min_n=view.min_n, max_n=view.max_n,
        )  # fmt: skip
    if view.type == "TextEncoder":
        return TokenPreprocessor(str(encoder_folder(str(recipe.text_encoder))), max_length=view.max_length)
    if view.type == "ImageEncoder":
        return ImagePreprocessor(view.size, view.images)
    return ImageDescriptor(view.size) if view.type == "ImageDescriptor" else VectorPreprocessor()


def _grown_start(
    start: LinearPredictor, rows: Catalog, taxonomy: Taxonomy, store: FeatureStore
) -> tuple[LinearReader, LinearModel]:
    """The earlier model over the grown tree, and over vocabularies that know the new rows' words too."""
    views, old = start.reader.views, start.reader.preprocessors
    preprocessors = {
        name: prepare.extended(_values(views[name], rows))
        if isinstance(prepare, TfidfPreprocessor)
        else prepare
        for name, prepare in old.items()
    }
    reader = LinearReader(views, preprocessors, start.reader.encoders, store)
    paths = [taxonomy.nodes[node].path for node in taxonomy.terminals]
    model = add_features(start.model, {name: one.size for name, one in reader.tfidf.items()})
    names = reader([_name_product(path) for path in paths])
    return reader, remap_to_taxonomy(model, start.taxonomy, taxonomy, names)
