"""Training a fusion network: parts, preprocessors, stages. Needs torch."""

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
from aisle.taxonomy import Targets, Taxonomy
from aisle.training import cca, warm_start
from aisle.training.data import BatchLoader, TrainingSet
from aisle.training.job import Assignment, SplitRows, Trained, fit_preprocessors, pick
from aisle.training.loop import Position, WeightedLoss, run_stage
from aisle.training.phases import Phase, kept_for_later, phases_of, setup, teardown
from aisle.training.recipe import Recipe
from aisle.training.run import Run, TrainState

__all__ = ["check", "check_start", "check_tree", "load", "readable_views", "train"]


class TrainContext(NamedTuple):
    """What a network is trained on."""

    catalog: Catalog
    targets: Targets
    split: SplitRows
    context: Context
    warm: bool
    trust_code: bool


def load(folder: Path, trust_code: bool) -> Predictor:
    """A finished run's model."""
    return Predictor.load(folder, trust_code)


def readable_views(recipe: Recipe, trust_code: bool) -> dict[str, View]:
    """What each view takes from a product."""
    return network_views(recipe.network, trust_code)


def check_start(start: Predictor, recipe: Recipe) -> None:
    """Whether a model can be gone on from by this recipe.

    Raises:
        RecipeError: it is another network, or no network.
    """
    if not isinstance(start, Predictor):
        raise RecipeError(
            f"recipe {recipe.name!r} trains a network, and the model to start from is none: name a recipe of "
            "its family, or leave --recipe out"
        )
    warm_start.check_shape(start, recipe.network)


def train(given: Assignment, recipe: Recipe, run: Run | None, progress: Progress) -> Trained:
    """A network trained on the rows to fit, not calibrated yet."""
    start, trust_code = given.start, given.trust_code
    device = torch.device("cpu") if given.device is None else given.device
    torch.manual_seed(recipe.seed)
    fit_rows = given.catalog.select(given.split.train)
    context = make_context(given.taxonomy, given.counts)
    if start is None:
        preprocessors = _fit_preprocessors(fit_rows, recipe, trust_code)
        model = build_network(recipe.network, preprocessors, context, trust_code=trust_code)
    else:
        preprocessors = warm_start.preprocessors_from(start, fit_rows)
        model = warm_start.model_from(start, recipe.network, preprocessors, context)
    model.to(device)
    reader = InputPipeline(
        model, readable_views(recipe, trust_code), preprocessors, given.store or FeatureStore()
    )
    shop = TrainContext(given.catalog, given.targets, given.split, context, start is not None, trust_code)
    _phases(shop, recipe, reader, run, progress)
    predictor = Predictor(
        spec=recipe.network,
        context=context,
        preprocessors=preprocessors,
        model=model.to("cpu").eval(),
        policy=guarantee.Policy.uncalibrated(given.taxonomy),
        knn_index=start.knn_index if start is not None else None,
        store=reader.store,
    )
    return Trained(predictor)


def _fit_preprocessors(catalog: Catalog, recipe: Recipe, trust_code: bool) -> dict[str, Preprocessor]:
    preprocessors = {name: new_preprocessor(view, trust_code) for name, view in recipe.views.items()}
    fit_preprocessors(preprocessors, readable_views(recipe, trust_code), catalog, recipe.seed)
    return preprocessors


def check(recipe: Recipe, trust_code: bool) -> None:
    """Before anything is learned: every part is there and knows its options.

    Raises:
        RecipeError: as `find_part` and `check_options`.
    """
    for view in recipe.views.values():
        new_preprocessor(view, trust_code)
    fusion = find_part(fusions, "fusion", recipe.fusion.type, trust_code)
    check_options(fusion, "fusion", recipe.fusion.options, {"dims", "modalities"})
    head = find_part(heads, "head", recipe.head.type, trust_code)
    check_options(head, "head", recipe.head.options, {"context", "dim"})
    for spec in recipe.losses:
        loss = find_part(losses, "loss", spec.type, trust_code)
        check_options(loss, "loss", spec.options, {"context"}, other_keys={"weight"})


def check_tree(recipe: Recipe, taxonomy: Taxonomy) -> None:
    """Whether every stage can be judged by its metric.

    Raises:
        RecipeError: the tree is not that deep.
    """
    for number, stage in enumerate(recipe.stages):
        level = stage.metric.removeprefix("level")
        if stage.patience and level.isdigit() and int(level) > taxonomy.depth:
            raise RecipeError(
                f"stages.{number}.metric: {stage.metric} cannot be judged by: "
                f"this tree has {taxonomy.depth} levels"
            )


def _losses(recipe: Recipe, context: Context, trust_code: bool) -> WeightedLoss:
    built: list[nn.Module] = []
    for spec in recipe.losses:
        cls = find_part(losses, "loss", spec.type, trust_code)
        built.append(build_part(cls, "loss", spec.options, context=context))
    return WeightedLoss(built, [spec.weight for spec in recipe.losses])


def _lesson(shop: TrainContext, rows: np.ndarray) -> TrainingSet:
    some = shop.catalog.select(rows)
    return TrainingSet(some, pick(shop.targets, rows), some.weights)


def _to_fit(shop: TrainContext, recipe: Recipe) -> TrainingSet:
    lesson = _lesson(shop, shop.split.train)
    return lesson.with_label_names(shop.context.taxonomy) if recipe.label_name_examples else lesson


def _to_stop(shop: TrainContext) -> TrainingSet:
    return _lesson(shop, shop.split.validation)


class _Shared(NamedTuple):
    """What every phase of a run shares."""

    shop: TrainContext
    recipe: Recipe
    criterion: WeightedLoss
    journal: TrainState
    progress: Progress


def _phases(
    shop: TrainContext, recipe: Recipe, reader: InputPipeline, run: Run | None, progress: Progress
) -> None:
    """Every phase in turn; those that an interrupted run has behind it are not learned again."""
    model = reader.model
    device = next(model.parameters()).device
    phases = phases_of(recipe, {name for name in model.views if model.encoders[name].cacheable})
    journal = TrainState(run, recipe, kept_for_later(recipe))
    criterion = _losses(recipe, shop.context, shop.trust_code)
    criterion.load_state_dict(journal.loss, strict=False)  # killed between two stages, it goes on with these
    course = _Shared(shop, recipe, criterion, journal, progress)
    before: Phase | None = None
    for phase in phases:
        setup(model, recipe, phase, before)
        model.to(device)
        before = phase
        built = model.trainable_state_dict()
        for weights in journal.ended.values():
            # A stage that starts there later finds the encoders that rested then as they were built.
            weights |= {key: v.clone() for key, v in built.items() if key not in weights}
        if journal.stage < phase.stages.stop:
            _learn(course, phase, reader)
    if journal.model is not None:
        model.load_state_dict(journal.model, strict=False)
    teardown(model, recipe)
    journal.close()


def _learn(course: _Shared, phase: Phase, reader: InputPipeline) -> None:
    """Train the reader's network through a phase."""
    shop, recipe = course.shop, course.recipe
    varied = {name: view.augment for name, view in recipe.views.items() if view.augment}
    varied = {name: augment for name, augment in varied.items() if name not in phase.still}

    def rows(lesson: TrainingSet, varied: Mapping[str, Augment]) -> BatchLoader:
        return BatchLoader(lesson, shop.context.taxonomy, reader, {}, course.progress, varied)

    fit_rows = rows(_to_fit(shop, recipe), varied)
    stop_rows = rows(_to_stop(shop), {}) if len(shop.split.validation) else None
    if course.journal.blank and not shop.warm:
        cca.begin(reader.model, fit_rows, phase.still, course.progress)
    _stages(reader.model, course, phase, (fit_rows, stop_rows))


def _stages(
    model: Model, course: _Shared, phase: Phase, rows: tuple[BatchLoader, BatchLoader | None]
) -> None:
    """A phase's stages in turn, each from where the one before ended or from an earlier one's weights."""
    recipe, journal = course.recipe, course.journal
    for number in range(max(journal.stage, phase.stages.start), phase.stages.stop):
        stage = recipe.stages[number]
        start = journal.ended.get(stage.init_from) if stage.init_from else journal.model
        if journal.now is None and start is not None:
            model.load_state_dict(start, strict=False)
        position = Position(number, recipe.seed, recipe.precision)
        run_stage(model, course.criterion, stage, rows, position, journal.now, journal.epoch, course.progress)
        journal.end(stage.name, model, course.criterion)
    if journal.model is not None:
        model.load_state_dict(journal.model, strict=False)
