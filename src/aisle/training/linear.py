"""Trains a linear model: preprocessors, encoders, then `aisle.models.linear.fit`.

torch is imported only to export an encoder that was never exported on this machine.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aisle import guarantee
from aisle.data import Catalog
from aisle.errors import AisleError, CatalogError, RecipeError
from aisle.inference.linear.predictor import LinearPredictor, TreeCounts
from aisle.inference.zero_shot import name_products
from aisle.models.features import FeatureStore
from aisle.models.label_embeddings import count_terminals
from aisle.models.linear.config import AnyView, LinearSpec, encoder_key, linear_views
from aisle.models.linear.descriptor import ImageDescriptor
from aisle.models.linear.encoders import open_encoders
from aisle.models.linear.fit import TrainingInputs, fit_linear, read_inputs
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
from aisle.taxonomy import Targets, Taxonomy
from aisle.training.cross_fit import FoldModel, cross_fit
from aisle.training.encoder_export import encoder_folder, exported_encoder
from aisle.training.job import FitResult, TrainingJob, TrainingSet, fit_preprocessors
from aisle.training.linear_recipe import LinearRecipe
from aisle.training.processes import world_size
from aisle.training.run import Run
from aisle.training.warm_start_rows import extend_vocabularies, merge_counts

__all__ = ["check", "check_start", "check_tree", "load", "readable_views", "train"]

_BATCH_SIZE = 256  # rows read at once to see whether a view can be read


def check(recipe: LinearRecipe, trust_code: bool) -> None:
    """Check a recipe before training.

    Raises:
        AisleError: torchrun started several processes.
    """
    if world_size() > 1:
        raise AisleError(f"recipe {recipe.name!r} is linear and trains in one process: leave torchrun out")


def check_start(start: Any, recipe: LinearRecipe) -> None:
    """Check that a recipe can start from a model.

    Raises:
        RecipeError: the model is not linear, or has other views.
    """
    if not isinstance(start, LinearPredictor):
        raise RecipeError(
            f"recipe {recipe.name!r} trains a linear model, and the model to start from is none: "
            "name a recipe of its family, or leave --recipe out"
        )
    old, new = start.spec, recipe.model
    for key in ("views", "text_encoder", "image_encoder"):
        old_value, new_value = getattr(old, key), getattr(new, key)
        if key == "views":  # views that the model did not have are left out
            new_value = {name: view for name, view in new_value.items() if name in old_value}
        if old_value != new_value:
            raise RecipeError(
                f"the recipe's {key} differ from those of the model to start from; "
                "leave --recipe out to take the run's own"
            )


def check_tree(recipe: LinearRecipe, taxonomy: Taxonomy) -> None:
    """No-op: a linear model can be trained on any tree."""


def load(folder: Path, trust_code: bool) -> LinearPredictor:
    """Load the model of a finished run."""
    return LinearPredictor.load(folder)


def readable_views(recipe: LinearRecipe, trust_code: bool) -> dict[str, View]:
    """The inputs of each view, by name."""
    return linear_views(recipe.model)


def train(job: TrainingJob, recipe: LinearRecipe, run: Run | None, progress: Progress) -> FitResult:
    """Train a linear model on `job.split.train`, and cross-fit it where `job.folds` is set.

    Args:
        job: what it is trained on.
        recipe: views and hyperparameters.
        run: not used: a linear model has no checkpoints.
        progress: reports progress.
    """
    rows, targets = job.catalog.select(job.split.train), job.targets.select(job.split.train)
    store = job.store or FeatureStore()
    if job.start is None:
        reader, start_model = new_reader(rows, recipe, store, progress), None
        if unreadable := _unreadable_views(reader, rows):
            recipe = _without(recipe, unreadable, progress)
            reader = new_reader(rows, recipe, store, progress)
    else:
        reader, start_model = _extended_start(job.start, rows, job.taxonomy, store)
    training_set = TrainingSet(rows, targets, np.ones(len(rows)) if rows.weights is None else rows.weights)
    if recipe.label_name_examples:  # rows after the products, in the order of `labels`
        training_set = training_set.with_label_names(job.taxonomy)
    spec = recipe.model if job.start is None else job.start.spec
    inputs = read_inputs(spec, reader, training_set.products, progress)
    trainer = _Trainer(job, recipe, spec, rows, targets, training_set, reader, inputs.dense)
    every_row = np.arange(len(training_set.products))
    predictor = trainer.fit_rows(every_row, reader, inputs, job.counts, start_model, progress)
    del inputs  # the models of the folds have TF-IDF features of their own
    if job.folds is None:
        return FitResult(predictor)
    return FitResult(predictor, cross_fit(trainer.fit_fold, rows, targets, job.folds, progress))


class _Trainer(NamedTuple):
    """The parts that the final model and the fold models share.

    Attributes:
        job: what is trained on.
        recipe: views and hyperparameters.
        spec: those of the model.
        rows: the training rows.
        targets: their labels.
        training_set: the same rows, and the names of labels after them.
        reader: the feature extractor of the final model.
        dense: features of the training set, of all views but TF-IDF.
    """

    job: TrainingJob
    recipe: LinearRecipe
    spec: LinearSpec
    rows: Catalog
    targets: Targets
    training_set: TrainingSet
    reader: LinearReader
    dense: dict[str, np.ndarray]

    def fit_rows(
        self,
        selected: np.ndarray,
        reader: LinearReader,
        inputs: TrainingInputs,
        counts: np.ndarray,
        start_model: LinearModel | None,
        progress: Progress,
    ) -> LinearPredictor:
        """Fit a model to some rows of the training set."""
        assert self.training_set.weights is not None
        model = fit_linear(
            self.spec,
            inputs.select(selected),
            self.training_set.targets.select(selected),
            self.training_set.weights[selected],
            self.job.taxonomy,
            counts,
            seed=self.recipe.seed,
            progress=progress,
            start=start_model,
        )
        return LinearPredictor(
            model=model,
            reader=reader,
            context=TreeCounts(self.job.taxonomy, model.counts),
            policy=guarantee.Policy.uncalibrated(self.job.taxonomy),
            knn_index=self.job.start.knn_index if self.job.start is not None else None,
        )

    def fit_fold(self, train_rows: np.ndarray) -> FoldModel:
        """Fit a model whose vocabularies, label names and counts come from these rows only."""
        fold, targets = self.rows.select(train_rows), self.targets.select(train_rows)
        start, taxonomy, store = self.job.start, self.job.taxonomy, self.reader.store
        counts = count_terminals(taxonomy, targets)
        if start is None:
            preprocessors = {**self.reader.preprocessors, **_fit_vocabularies(self.recipe, fold)}
            reader = LinearReader(self.reader.views, preprocessors, self.reader.encoders, store)
            start_model = None
        else:
            reader, start_model = _extended_start(start, fold, taxonomy, store)
            counts = merge_counts(start, taxonomy, counts)
        inputs = read_inputs(self.spec, reader, self.training_set.products, SILENT, self.dense)
        selected = train_rows
        if self.recipe.label_name_examples:
            in_fold = np.isin(self.training_set.labels(), targets.node[targets.exact])
            selected = np.concatenate([train_rows, len(self.rows) + np.flatnonzero(in_fold)])
        predictor = self.fit_rows(selected, reader, inputs, counts, start_model, SILENT)
        return FoldModel(predictor, inputs)


def _fit_vocabularies(recipe: LinearRecipe, rows: Catalog) -> dict[str, TfidfPreprocessor]:
    """TF-IDF preprocessors fitted on these rows, by view."""
    all_views = linear_views(recipe.model)
    views = {name: view for name, view in all_views.items() if recipe.views[name].type == "Tfidf"}
    preprocessors = {name: new_preprocessor(recipe.views[name], recipe) for name in views}
    fit_preprocessors(preprocessors, views, rows, recipe.seed)
    return preprocessors


def _unreadable_views(reader: LinearReader, rows: Catalog) -> set[str]:
    """Dense views that can be read of no row, for example because all images are broken."""
    unreadable = set(reader.views) - set(reader.tfidf)
    for start in range(0, len(rows), _BATCH_SIZE):
        if not unreadable:
            break
        dense = reader([rows[i] for i in range(start, min(start + _BATCH_SIZE, len(rows)))]).dense
        unreadable = {name for name in unreadable if not np.abs(dense[name]).any()}
    return unreadable


def _without(recipe: LinearRecipe, names: set[str], progress: Progress) -> LinearRecipe:
    if names >= set(recipe.views):
        raise CatalogError(f"no row has a view that can be read: {', '.join(sorted(names))}")
    for name in sorted(names):
        progress.say(f"view {name!r} is left out: no row has one that can be read")
    return recipe.without(names)


def new_reader(rows: Catalog, recipe: LinearRecipe, store: FeatureStore, progress: Progress) -> LinearReader:
    """The feature extractor of a recipe, with preprocessors fitted on training rows.

    Args:
        rows: the training rows.
        recipe: views and encoders.
        store: cache of encoders' outputs.
        progress: shows a message before an encoder is exported.

    Raises:
        MissingModelError: an encoder is not on this machine and cannot be downloaded.
        MissingExtraError: onnxruntime is not installed, or torch for an encoder not exported yet.
    """
    spec = recipe.model
    folders = {}
    for name, view in spec.views.items():
        key = encoder_key(view)
        if key is not None:
            kind, size = ("text", 0) if key == "text_encoder" else ("image", getattr(view, "size", 0))
            folders[name] = exported_encoder(str(getattr(spec, key)), kind, size, progress)
    views = linear_views(spec)
    preprocessors = {name: new_preprocessor(view, recipe) for name, view in spec.views.items()}
    fit_preprocessors(preprocessors, views, rows, recipe.seed)
    return LinearReader(views, preprocessors, open_encoders(folders, preprocessors), store)


def new_preprocessor(view: AnyView, recipe: LinearRecipe) -> Any:
    """An unfitted preprocessor for a view."""
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


def _extended_start(
    start: LinearPredictor, rows: Catalog, taxonomy: Taxonomy, store: FeatureStore | None
) -> tuple[LinearReader, LinearModel]:
    """The earlier model over the merged tree, and over vocabularies extended by the words of the new rows."""
    views = start.reader.views
    preprocessors = extend_vocabularies(start.reader.preprocessors, views, rows)
    reader = LinearReader(views, preprocessors, start.reader.encoders, store)
    model = add_features(start.model, {name: tfidf.size for name, tfidf in reader.tfidf.items()})
    names = reader(name_products(taxonomy))
    return reader, remap_to_taxonomy(model, start.taxonomy, taxonomy, names)
