"""From a labelled catalogue and a recipe to a predictor: parts, views, stages, calibration."""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from aisle import guarantee
from aisle.data import Catalog
from aisle.data.column_hints import advice
from aisle.data.splits import assign, assign_by_time, dates_of
from aisle.errors import CatalogError, RecipeError
from aisle.inference.base_predictor import short_keys
from aisle.inference.bundle import load
from aisle.inference.input_pipeline import Reader
from aisle.inference.predictor import Predictor
from aisle.inference.training_counts import count_training
from aisle.models import fusions, heads, losses
from aisle.models.features import FeatureStore
from aisle.models.label_embeddings import context_of, count_terminals
from aisle.models.model import Model
from aisle.models.options import Augment
from aisle.models.preprocessing import Prepared, Preparer
from aisle.models.registry import Context, build_part, check_options, find_part
from aisle.models.spec import build, new_preparer, views_of
from aisle.models.views import View
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Targets, Taxonomy
from aisle.training import cca, parallel, warm_start
from aisle.training.data import Lesson, Rows
from aisle.training.linear_svm import learn_words, lexical
from aisle.training.loop import Position, WeightedLoss, run_stage
from aisle.training.pca import Sample, fold
from aisle.training.pca_training import along
from aisle.training.phases import Phase, enter, kept_for_later, leave, phases_of
from aisle.training.recipe import Recipe
from aisle.training.ridge import add_ridge, coordinates
from aisle.training.run import Journal, Run

CPU = torch.device("cpu")
_FIT_SAMPLE = 500_000  # products from which vocabularies are learned
_FEW = 10  # products, duplicates counted once, below which all are learned from
_FOLD_SAMPLE = 4096  # rows by which a fold knows what matters
_ENOUGH = 20_000  # of them that have a view; where fewer do, its vocabulary is learned from all products
_REMEMBERED = 20_000  # products looked through for those that a predictor remembers


class PartRows(NamedTuple):
    """Sorted, disjoint row numbers of one catalogue: to learn from, to stop by, to calibrate, to promise."""

    fit: np.ndarray
    stop: np.ndarray
    calibrate: np.ndarray
    promise: np.ndarray


class _Shop(NamedTuple):
    """What a network is trained on."""

    catalog: Catalog
    targets: Targets
    parts: PartRows
    context: Context
    warm: bool
    trust_code: bool


def fit(
    catalog: Catalog,
    recipe: Recipe,
    *,
    run: Run | None = None,
    resume: bool = False,
    store: FeatureStore | None = None,
    start: Predictor | None = None,
    device: torch.device = CPU,
    trust_code: bool = False,
    progress: Progress = SILENT,
) -> Predictor:
    """Train on the labelled rows of `catalog`.

    run: where checkpoints and metrics go; with `resume`, an interrupted run there is continued. store:
    where frozen encoders' outputs are kept (the user's cache by default). Views that no row has are
    left out, and said so. start: a model to go on from, with new rows and new categories; its views stay,
    and rows it has seen are never calibrated on. device: where the network learns; what is returned is on
    the CPU.

    Raises:
        CatalogError: no labelled row, or no view that any row has.
        RecipeError, MissingModelError: as `aisle.models.spec.build`.
    """
    weights = catalog.weights
    # A row that counts nothing is not learned from, nor is anything promised by it.
    usable = np.flatnonzero((catalog.targets().node >= 0) & (True if weights is None else weights > 0))
    if not len(usable):
        raise CatalogError(f"no row has a usable category: nothing to learn from. {advice(catalog)}")
    catalog = catalog.take(usable)
    taxonomy, targets = _tree(catalog)
    pictures = reads_pictures(recipe, trust_code)
    parts = cut(catalog, targets, recipe, pictures, progress)
    check_parts(recipe, trust_code)
    if start is None:
        recipe = _without_absent_views(catalog.take(parts.fit), recipe, trust_code, progress)
    else:
        warm_start.check_shape(start, recipe.network)
        taxonomy, targets = warm_start.grow(start, taxonomy, targets, catalog.official, progress)
        parts = PartRows(
            *warm_start.seen_to_fit(parts, start.seen(catalog), catalog.groups(pictures=pictures))
        )
    _check_metrics(recipe, taxonomy)
    if run is not None:
        data = {"fingerprint": catalog.fingerprint, "rows": {k: len(v) for k, v in parts._asdict().items()}}
        data |= {"start": start.model_id} if start is not None else {}
        run.begin(recipe, {**data, "taxonomy": taxonomy.fingerprint}, resume, catalog.catalog_format)
        if parallel.share(run.finished):
            progress.say(f"{run.folder} is trained already")
            return load(run.model, trust_code)
    torch.manual_seed(recipe.seed)
    counts = count_terminals(taxonomy, _pick(targets, parts.fit))
    seen = short_keys(catalog.take(np.concatenate([parts.fit, parts.stop])))
    if start is None:
        context = context_of(taxonomy, counts)
        preparers = _learn_preparers(catalog.take(parts.fit), recipe, trust_code)
        model = build(recipe.network, preparers, context, trust_code=trust_code)
    else:
        context = context_of(taxonomy, warm_start.counts_of(start, taxonomy, counts))
        preparers = warm_start.preparers_from(start, catalog.take(parts.fit))
        model = warm_start.model_from(start, recipe.network, preparers, context)
        seen = np.union1d(seen, start.seen_keys)
    model.to(device)
    reader = Reader(model, views_of(recipe.network, trust_code), preparers, store or FeatureStore())
    shop = _Shop(catalog, targets, parts, context, start is not None, trust_code)
    _phases(shop, recipe, reader, run, progress)
    predictor = Predictor(
        spec=recipe.network,
        context=context,
        preparers=preparers,
        model=model.to("cpu").eval(),
        policy=guarantee.Policy.uncalibrated(taxonomy),
        seen_keys=seen,
        results={"recipe": recipe.name, **count_training(taxonomy, targets.node, start)},
        memory=start.memory if start is not None else None,
        store=reader.store,
        catalog_format=catalog.catalog_format,
    )
    return promised(predictor, catalog, targets, parts, recipe, pictures)


def reads_pictures(recipe: Recipe, trust_code: bool) -> bool:
    """Whether any view is of pictures: to a network of words alone, what pictures look like says nothing."""
    return any(view.modality == "image" for view in views_of(recipe.network, trust_code).values())


def cut(
    catalog: Catalog, targets: Targets, recipe: Recipe, pictures: bool = True, progress: Progress = SILENT
) -> PartRows:
    """The four parts, stratified or by date, near-duplicates on one side (design rule 9). Nothing is kept
    aside of so few products that it would be missed in training more than it could tell.

    pictures: whether what they look like counts.

    Raises:
        CatalogError: the recipe goes by time and the catalog has no dates.
    """
    n, parts = len(catalog), recipe.parts
    dates = dates_of(catalog) if parts.by == "time" else None
    groups = catalog.groups(pictures=pictures, progress=progress)
    whole = PartRows(np.arange(n), *(np.zeros(0, np.int64) for _ in range(3)))
    if len(np.unique(groups)) < _FEW:
        return whole
    aside = [min(share, parts.most / n) for share in (parts.stop, parts.calibrate, parts.promise)]
    shares = np.array([1 - sum(aside), *aside])
    if dates is not None:
        part = assign_by_time(dates, groups, shares)
    else:
        part = assign(targets.node, groups, shares, recipe.seed)
    found = PartRows(*(np.flatnonzero(part == k) for k in range(4)))
    return found if len(found.fit) else whole


def promised(
    predictor: Predictor,
    catalog: Catalog,
    targets: Targets,
    parts: PartRows,
    recipe: Recipe,
    pictures: bool = True,
) -> Predictor:
    """The predictor with a policy fitted on the two parts that training never saw."""
    if not len(parts.calibrate) or not len(parts.promise):
        return predictor
    groups, tree = catalog.groups(pictures=pictures), predictor.taxonomy
    some = parts.fit[:: len(parts.fit) // _REMEMBERED + 1]
    predictor = predictor.remembering(catalog.take(some), [tree.nodes[n].id for n in targets.node[some]])
    samples = []
    for rows in (parts.calibrate, parts.promise):
        held = catalog.take(rows)
        samples.append((predictor.score(held), _pick(targets, rows), groups[rows], predictor.nearest(held)))
    policy = guarantee.fit(*samples, precision=recipe.promise.precision, delta=recipe.promise.delta)
    aside = np.concatenate([parts.calibrate, parts.promise])
    return predictor.learning_to_grow(catalog.take(aside), _pick(targets, aside)).with_policy(policy)


def _tree(catalog: Catalog) -> tuple[Taxonomy, Targets]:
    """The official tree, or the one that these rows' labels span, and where the rows are in it."""
    whole, targets = catalog.taxonomy, catalog.targets()
    if catalog.official:
        return whole, targets
    used = np.unique(targets.node)
    taxonomy = Taxonomy.from_paths(whole.nodes[node].path for node in used)
    number = np.full(len(whole), -1, dtype=np.int64)
    number[used] = [taxonomy.index(whole.nodes[node].path) for node in used]
    return taxonomy, Targets(number[targets.node], targets.exact)


def _pick(targets: Targets, rows: np.ndarray) -> Targets:
    return Targets(targets.node[rows], targets.exact[rows])


def _without_absent_views(catalog: Catalog, recipe: Recipe, trust_code: bool, progress: Progress) -> Recipe:
    """Leave out the views that no row has: a shop without pictures trains no image encoder."""
    views = views_of(recipe.network, trust_code)
    lacking = set(views)
    for product in catalog:
        lacking -= {name for name in lacking if views[name].value(product) is not None}
        if not lacking:
            return recipe
    if len(lacking) == len(views):
        raise CatalogError(
            f"no row has any of the views that recipe {recipe.name!r} reads ({', '.join(views)}); "
            f"the catalogue has fields {', '.join(catalog.fields) or '(none)'}"
        )
    for name in sorted(lacking):
        progress.say(f"view {name!r} is left out: no row has it")
    return recipe.without(lacking)


def _learn_preparers(catalog: Catalog, recipe: Recipe, trust_code: bool) -> dict[str, Preparer]:
    preparers = {name: new_preparer(view, trust_code) for name, view in recipe.views.items()}
    whole = len(catalog) <= _FIT_SAMPLE
    some = catalog if whole else catalog.take(_sample(len(catalog), recipe.seed))
    for name, view in views_of(recipe.network, trust_code).items():
        rare = not whole and not _has_many(view, some)
        preparers[name].fit(view.value(product) for product in (catalog if rare else some))
    return preparers


def _has_many(view: View, catalog: Catalog) -> bool:
    """Whether so many of these rows have the view that its vocabulary can be learned from them."""
    there = (product for product in catalog if view.value(product) is not None)
    return sum(1 for _ in itertools.islice(there, _ENOUGH)) == _ENOUGH


def _sample(n: int, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).choice(n, _FIT_SAMPLE, replace=False))


def check_parts(recipe: Recipe, trust_code: bool) -> None:
    """Before anything is learned: every part is there and knows its options.

    Raises:
        RecipeError: as `find_part` and `check_options`.
    """
    for view in recipe.views.values():
        new_preparer(view, trust_code)
    fusion = find_part(fusions, "fusion", recipe.fusion.type, trust_code)
    check_options(fusion, "fusion", recipe.fusion.options, {"dims", "modalities"})
    head = find_part(heads, "head", recipe.head.type, trust_code)
    check_options(head, "head", recipe.head.options, {"context", "dim"})
    turned = [view for view in recipe.views.values() if view.axes]
    if recipe.ridge is not None and not turned:
        raise RecipeError(
            "[ridge] regresses along axes, and no view has `axes`: leave it out (--set ridge=false)"
        )
    if recipe.words is not None and not any(view.encoder.type == "Lexical" for view in turned):
        raise RecipeError(
            "[words] is added to views of words along axes, and no view of words has `axes`: "
            "leave it out (--set words=false)"
        )
    for spec in recipe.losses:
        loss = find_part(losses, "loss", spec.type, trust_code)
        check_options(loss, "loss", spec.options, {"context"}, more={"weight"})


def _check_metrics(recipe: Recipe, taxonomy: Taxonomy) -> None:
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


def _lesson(shop: _Shop, rows: np.ndarray) -> Lesson:
    some = shop.catalog.take(rows)
    return Lesson(some, _pick(shop.targets, rows), some.weights)


def _to_fit(shop: _Shop, recipe: Recipe) -> Lesson:
    lesson = _lesson(shop, shop.parts.fit)
    return lesson.with_names(shop.context.taxonomy) if recipe.names else lesson


def _to_stop(shop: _Shop) -> Lesson:
    return _lesson(shop, shop.parts.stop)


class _Course(NamedTuple):
    """What every phase of a run shares."""

    shop: _Shop
    recipe: Recipe
    criterion: WeightedLoss
    journal: Journal
    progress: Progress


def _phases(shop: _Shop, recipe: Recipe, reader: Reader, run: Run | None, progress: Progress) -> None:
    """Every phase in turn; those that an interrupted run has behind it are not learned again."""
    model = reader.model
    device = next(model.parameters()).device
    phases = phases_of(recipe, {name for name in model.views if model.encoders[name].costly})
    journal = Journal(run, recipe, kept_for_later(recipe, phases))
    criterion = _losses(recipe, shop.context, shop.trust_code)
    criterion.load_state_dict(journal.loss, strict=False)  # killed between two stages, it goes on with these
    course = _Course(shop, recipe, criterion, journal, progress)
    before: Phase | None = None
    for phase in phases:
        enter(model, recipe, phase, before)
        model.to(device)  # folding along axes is done on the CPU
        before = phase
        if phase.along_axes:
            _learn_along_axes(course, phase, reader)
            continue
        built = model.learned()
        for name, weights in journal.ended.items():
            if name in {recipe.stages[i].name for p in phases if not p.along_axes for i in p.stages}:
                # A stage that starts there later finds the encoders that rested then as they were built.
                weights |= {key: v.clone() for key, v in built.items() if key not in weights}
        if journal.stage < phase.stages.stop:
            _learn(course, phase, reader, ({}, {}))
    if journal.model is not None:
        model.load_state_dict(journal.model, strict=False)
    leave(model, recipe)
    journal.close()


def _learn(
    course: _Course,
    phase: Phase,
    reader: Reader,
    given: tuple[Mapping[str, Prepared], Mapping[str, Prepared]],
) -> Rows:
    """Train the reader's network; the rows it learned from. given: views already prepared, of the rows to fit
    and to stop by."""
    shop, recipe = course.shop, course.recipe
    varied = {name: view.augment for name, view in recipe.views.items() if view.augment}
    varied = {name: augment for name, augment in varied.items() if name not in phase.still}

    def rows(lesson: Lesson, ready: Mapping[str, Prepared], varied: Mapping[str, Augment]) -> Rows:
        return Rows(lesson, shop.context.taxonomy, reader, ready, course.progress, varied)

    fit_rows = rows(_to_fit(shop, recipe), given[0], varied)
    stop_rows = rows(_to_stop(shop), given[1], {}) if len(shop.parts.stop) else None
    if course.journal.blank and not shop.warm:
        cca.begin(reader.model, fit_rows, phase.still, course.progress)
    _stages(reader.model, course, phase, (fit_rows, stop_rows))
    return fit_rows


def _learn_along_axes(course: _Course, phase: Phase, reader: Reader) -> None:
    """Train a network over the views' principal axes, then fold it into the reader's."""
    shop, recipe, journal, progress = course.shop, course.recipe, course.journal, course.progress
    device = next(reader.model.parameters()).device
    lessons = [_to_fit(shop, recipe), _to_stop(shop)]
    ranks = {name: view.axes for name, view in recipe.views.items() if view.axes}
    turned = along(reader, [x.products for x in lessons], ranks, recipe.seed, shop.warm, progress)
    reader.model.to("cpu")
    torch.manual_seed(recipe.seed)
    reading = turned.reader(reader, recipe.network, shop.context, shop.trust_code)
    rotated = reading.model.to(device)
    given: Mapping[str, Prepared] = turned.rows[0]
    if journal.stage < phase.stages.stop:
        ready = (turned.rows[0], turned.rows[1])
        given = _learn(course, phase, reading, ready).kept  # pictures are decoded once
    else:
        rotated.load_state_dict(journal.ended.get(phase.last) or journal.model or {}, strict=False)
    rotated.to("cpu")
    fit_rows = Rows(lessons[0], shop.context.taxonomy, reading, given, progress)
    # What an earlier network knew of words stays in it; new words come to it along the axes.
    by_words = recipe.words is not None and not shop.warm
    told_otherwise = {warm_start.EARLIER, *(lexical(reader, recipe) if by_words else ())}
    if recipe.ridge is not None and not told_otherwise.issuperset(rotated.views):
        add_ridge(rotated, fit_rows, recipe.ridge, shop.context, progress, told_otherwise)
    sample = np.arange(0, len(fit_rows), len(fit_rows) // _FOLD_SAMPLE + 1)
    words = learn_words(reader, lessons[0], recipe, shop.context, sample, progress) if by_words else None
    if words is not None:
        rotated.head.bias.data += torch.from_numpy(words.offset)  # type: ignore[union-attr, operator]
    told = Sample(coordinates(rotated.eval(), fit_rows.batch(sample)), words and words.said)
    fold(rotated, turned.axes, reader.model, told, words and words.weights, turned.earlier)
    if journal.stage == phase.stages.stop:  # the weights in hand are those of the rotated network
        journal.model = None


def _stages(model: Model, course: _Course, phase: Phase, rows: tuple[Rows, Rows | None]) -> None:
    """A phase's stages in turn, each from where the one before ended or from an earlier one's weights."""
    recipe, journal = course.recipe, course.journal
    for number in range(max(journal.stage, phase.stages.start), phase.stages.stop):
        stage = recipe.stages[number]
        start = journal.ended.get(stage.start) if stage.start else journal.model
        if journal.now is None and start is not None:
            model.load_state_dict(start, strict=False)
        position = Position(number, recipe.seed, recipe.precision)
        run_stage(model, course.criterion, stage, rows, position, journal.now, journal.epoch, course.progress)
        journal.end(stage.name, model, course.criterion)
    if journal.model is not None:
        model.load_state_dict(journal.model, strict=False)
