"""Trains a fusion network: preprocessors, parts, phases of stages."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from aisle import guarantee
from aisle.data import Catalog
from aisle.errors import RecipeError
from aisle.inference.input_pipeline import InputPipeline
from aisle.inference.predictor import Predictor
from aisle.models import fusions, heads, losses
from aisle.models.features import FeatureStore
from aisle.models.label_embeddings import make_context
from aisle.models.model import Model
from aisle.models.options import Augment
from aisle.models.preprocessing import Preprocessor
from aisle.models.registry import Context, build_part, check_options, find_part
from aisle.models.spec import build_network, network_views, new_preprocessor
from aisle.models.views import View
from aisle.progress import Progress
from aisle.taxonomy import Taxonomy
from aisle.training import cca, warm_start
from aisle.training.data import BatchLoader
from aisle.training.encoder_start import EncoderStart, encoder_starts, with_encoders_of
from aisle.training.job import FitResult, TrainingJob, TrainingSet, fit_preprocessors
from aisle.training.loop import StageSettings, WeightedLoss, run_stage
from aisle.training.network_recipe import NetworkRecipe
from aisle.training.phases import Phase, init_from_stages, phases_of, setup, teardown
from aisle.training.run import Run, TrainState

__all__ = ["check", "check_start", "check_tree", "load", "readable_views", "train"]


class TrainContext(NamedTuple):
    """State shared by the phases of training.

    Attributes:
        job: what the network is trained on.
        recipe: the recipe.
        context: the tree, training counts and name embeddings.
        reader: the input pipeline, with the network.
        loss: the loss.
        state: of training, over all stages.
        progress: reports progress.
    """

    job: TrainingJob
    recipe: NetworkRecipe
    context: Context
    reader: InputPipeline
    loss: WeightedLoss
    state: TrainState
    progress: Progress


def load(folder: Path, trust_code: bool) -> Predictor:
    """Load the model of a finished run."""
    return Predictor.load(folder, trust_code)


def readable_views(recipe: NetworkRecipe, trust_code: bool) -> dict[str, View]:
    """The inputs of each view, by name."""
    return network_views(recipe.network, trust_code)


def check_start(start: Predictor, recipe: NetworkRecipe) -> None:
    """Check that a recipe can start from a model.

    Raises:
        RecipeError: the model is no network, or another one.
    """
    if not isinstance(start, Predictor):
        raise RecipeError(
            f"recipe {recipe.name!r} trains a network, and the model to start from is none: name a recipe of "
            "its family, or leave --recipe out"
        )
    warm_start.check_same_network(start, recipe.network)


def train(job: TrainingJob, recipe: NetworkRecipe, run: Run | None, progress: Progress) -> FitResult:
    """Train a network on `job.split.train`.

    Args:
        job: what it is trained on.
        recipe: the network, its losses and stages.
        run: holds checkpoints and metrics.
        progress: reports progress.
    """
    start, trust_code = job.start, job.trust_code
    torch.manual_seed(recipe.seed)
    rows = job.catalog.select(job.split.train)
    context = make_context(job.taxonomy, job.counts)
    if start is None:
        starts = encoder_starts(recipe, trust_code)
        recipe = with_encoders_of(recipe, starts)
        preprocessors = _fit_preprocessors(rows, recipe, trust_code, starts)
        model = _new_model(recipe, preprocessors, context, trust_code, starts)
    else:
        preprocessors = warm_start.preprocessors_from(start, rows)
        model = warm_start.model_from(start, recipe.network, preprocessors, context)
    model.to(torch.device("cpu") if job.device is None else job.device)
    views = readable_views(recipe, trust_code)
    reader = InputPipeline(model, views, preprocessors, job.store or FeatureStore())
    state = TrainState(run, recipe, init_from_stages(recipe))
    loss = _make_loss(recipe, context, trust_code)
    loss.load_state_dict(state.loss, strict=False)  # of a run that was killed between two stages
    _train_phases(TrainContext(job, recipe, context, reader, loss, state, progress))
    predictor = Predictor(
        spec=recipe.network,
        context=context,
        preprocessors=preprocessors,
        model=model.to("cpu").eval(),
        policy=guarantee.Policy.uncalibrated(job.taxonomy),
        knn_index=start.knn_index if start is not None else None,
        store=reader.store,
    )
    return FitResult(predictor)


def _fit_preprocessors(
    catalog: Catalog, recipe: NetworkRecipe, trust_code: bool, starts: Mapping[str, EncoderStart]
) -> dict[str, Preprocessor]:
    """The preprocessors by view; those of `starts` are fitted already."""
    new = {
        name: new_preprocessor(view, trust_code) for name, view in recipe.views.items() if name not in starts
    }
    views = {name: view for name, view in readable_views(recipe, trust_code).items() if name in new}
    fit_preprocessors(new, views, catalog, recipe.seed)
    fitted = new | {name: start.preprocessor for name, start in starts.items()}
    return {name: fitted[name] for name in recipe.views}


def _new_model(
    recipe: NetworkRecipe,
    preprocessors: Mapping[str, Preprocessor],
    context: Context,
    trust_code: bool,
    starts: Mapping[str, EncoderStart],
) -> Model:
    """A network with new weights, but for the encoders of `starts`."""
    configs = {name: getattr(start.encoder, "config", None) for name, start in starts.items()}
    configs = {name: config for name, config in configs.items() if config}
    model = build_network(recipe.network, preprocessors, context, configs, trust_code)
    for name, start in starts.items():
        model.encoders[name].load_state_dict(start.encoder.state_dict())
    return model


def check(recipe: NetworkRecipe, trust_code: bool) -> None:
    """Check before training that all parts exist and accept their options.

    Raises:
        RecipeError: as `find_part` and `check_options`; or a run that an encoder starts from is absent.
    """
    for name, view in recipe.views.items():
        if view.encoder.init_from is None:
            new_preprocessor(view, trust_code)
        elif not Path(view.encoder.init_from).exists():
            raise RecipeError(f"views.{name}.encoder.init_from: there is no run {view.encoder.init_from}")
    fusion = find_part(fusions, "fusion", recipe.fusion.type, trust_code)
    check_options(fusion, "fusion", recipe.fusion.options, {"dims", "modalities"})
    head = find_part(heads, "head", recipe.head.type, trust_code)
    check_options(head, "head", recipe.head.options, {"context", "dim"})
    for spec in recipe.losses:
        loss = find_part(losses, "loss", spec.type, trust_code)
        check_options(loss, "loss", spec.options, {"context"}, other_keys={"weight"})


def check_tree(recipe: NetworkRecipe, taxonomy: Taxonomy) -> None:
    """Check that the tree has the levels that stages use as metric.

    Raises:
        RecipeError: it has fewer.
    """
    for number, stage in enumerate(recipe.stages):
        level = stage.metric.removeprefix("level")
        if stage.watches_metric and level.isdigit() and int(level) > taxonomy.depth:
            raise RecipeError(
                f"stages.{number}.metric: there is no {stage.metric}: this tree has {taxonomy.depth} levels"
            )


def _make_loss(recipe: NetworkRecipe, context: Context, trust_code: bool) -> WeightedLoss:
    parts: list[nn.Module] = []
    for spec in recipe.losses:
        cls = find_part(losses, "loss", spec.type, trust_code)
        parts.append(build_part(cls, "loss", spec.options, context=context))
    return WeightedLoss(parts, [spec.weight for spec in recipe.losses])


def _train_phases(shared: TrainContext) -> None:
    """Train all phases; those that an interrupted run has finished are skipped."""
    model, state = shared.reader.model, shared.state
    device = next(model.parameters()).device
    previous: Phase | None = None
    for phase in phases_of(shared.recipe, {name for name in model.views if model.encoders[name].cacheable}):
        setup(model, shared.recipe, phase, previous)
        model.to(device)
        previous = phase
        initial = model.trainable_state_dict()
        for weights in state.ended.values():
            # A later stage that starts from these weights finds encoders that were frozen then unchanged.
            weights |= {key: value.clone() for key, value in initial.items() if key not in weights}
        if state.stage < phase.stages.stop:
            _train_phase(shared, phase)
    if state.model is not None:
        model.load_state_dict(state.model, strict=False)
    teardown(model, shared.recipe)
    state.close()


def _train_phase(shared: TrainContext, phase: Phase) -> None:
    """Train the stages of a phase, each from the weights of the previous one or of `init_from`."""
    job, recipe, state, model = shared.job, shared.recipe, shared.state, shared.reader.model
    augment = {name: view.augment for name, view in recipe.views.items() if view.augment}
    augment = {name: options for name, options in augment.items() if name not in phase.frozen}
    train_rows = _batch_loader(shared, job.split.train, recipe.label_name_examples, augment)
    validation_rows = _batch_loader(shared, job.split.validation) if len(job.split.validation) else None
    if state.untrained and job.start is None:
        cca.fit_cca(model, train_rows, phase.frozen, shared.progress)
    for number in range(max(state.stage, phase.stages.start), phase.stages.stop):
        stage = recipe.stages[number]
        weights = state.ended.get(stage.init_from) if stage.init_from else state.model
        if state.now is None and weights is not None:
            model.load_state_dict(weights, strict=False)
        settings = StageSettings(number, recipe.seed, recipe.precision)
        rows = (train_rows, validation_rows)
        run_stage(model, shared.loss, stage, rows, settings, state.now, state.epoch, shared.progress)
        state.end(stage.name, model, shared.loss)
    if state.model is not None:
        model.load_state_dict(state.model, strict=False)


def _batch_loader(
    shared: TrainContext,
    rows: np.ndarray,
    label_names: bool = False,
    augment: Mapping[str, Augment] | None = None,
) -> BatchLoader:
    """Batches of some rows of the catalog, and optionally of label names."""
    catalog, taxonomy = shared.job.catalog.select(rows), shared.context.taxonomy
    training_set = TrainingSet(catalog, shared.job.targets.select(rows), catalog.weights)
    if label_names:
        training_set = training_set.with_label_names(taxonomy)
    return BatchLoader(training_set, taxonomy, shared.reader, shared.progress, augment)
