"""From a labelled catalog and a recipe to a predictor: rows, tree, split or folds, training, guarantee."""

import dataclasses
from typing import Any

import numpy as np

from aisle import guarantee
from aisle.data import Catalog
from aisle.data.column_hints import advice
from aisle.data.splits import assign, assign_by_time, dates_of
from aisle.errors import CatalogError, RecipeError
from aisle.inference.base_predictor import content_hashes
from aisle.inference.holdout import OutOfFoldPredictions
from aisle.inference.training_counts import count_training
from aisle.models.features import FeatureStore
from aisle.models.label_embeddings import count_terminals
from aisle.models.views import View
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Targets, Taxonomy
from aisle.training.cross_fit import REMEMBERED, OutOfFold
from aisle.training.job import Assignment, SplitRows, pick
from aisle.training.processes import share
from aisle.training.recipe import AnyRecipe
from aisle.training.run import Run
from aisle.training.start_rows import counts_of, grow, seen_to_fit

_PREDICTED = 1_500  # out-of-fold predictions that stay with the model, for the reference of `aisle drift`
_FEW = 10  # products, duplicates counted once, below which all are learned from


def family_of(recipe: AnyRecipe) -> Any:
    """The module that trains a recipe's family, with `check`, `check_start`, `check_tree`, `load`,
    `readable_views` and `train`. torch is imported for networks alone."""
    if recipe.family == "linear":
        from aisle.training import linear

        return linear
    from aisle.training import network

    return network


def fit(
    catalog: Catalog,
    recipe: AnyRecipe,
    *,
    run: Run | None = None,
    resume: bool = False,
    store: FeatureStore | None = None,
    start: Any = None,
    device: Any = None,
    trust_code: bool = False,
    progress: Progress = SILENT,
) -> Any:
    """Train on the labelled rows of a catalog, and fit the guarantee. Views that no row has are left out.

    Args:
        catalog: The training data.
        recipe: What is trained.
        run: Holds checkpoints and metrics.
        resume: Continue the interrupted run in `run`.
        store: Cache of frozen encoders' outputs. Default: the user's cache.
        start: A model to start from, with new rows and categories. Its views stay; rows that it was trained
            on are never calibrated on.
        device: Where a network is trained; the returned predictor is on the CPU.
        trust_code: Allow recipes to import outside code.
        progress: Reports progress.

    Raises:
        CatalogError: no labelled row, or no view that any row has.
        RecipeError, MissingModelError: as the family's `check` and `train`.
    """
    weights = catalog.weights
    # A row of weight 0 neither trains nor tests the guarantee.
    usable = np.flatnonzero((catalog.targets().node >= 0) & (True if weights is None else weights > 0))
    if not len(usable):
        raise CatalogError(f"no row has a usable category: nothing to learn from. {advice(catalog)}")
    catalog = catalog.select(usable)
    taxonomy, targets = _tree(catalog)
    family = family_of(recipe)
    views = family.readable_views(recipe, trust_code)
    method, reason = guarantee_method(recipe, len(catalog))
    progress.say(f"guarantee: {method}, because {reason}")
    # Similar images tie near-duplicates only where the model reads images.
    images = any(view.modality == "image" for view in views.values())
    groups = catalog.groups(images=images, progress=progress)
    split = split_rows(catalog, targets, recipe, groups)
    family.check(recipe, trust_code)
    if start is None:
        recipe = _without_absent_views(catalog.select(split.train), recipe, views, progress)
    else:
        family.check_start(start, recipe)
        taxonomy, targets = grow(start, taxonomy, targets, catalog.official, progress)
        split = SplitRows(*seen_to_fit(split, start.seen(catalog), groups))
    family.check_tree(recipe, taxonomy)
    if run is not None:
        data = {"fingerprint": catalog.fingerprint, "rows": {k: len(v) for k, v in split._asdict().items()}}
        data |= {"start": start.model_id} if start is not None else {}
        run.begin(recipe, {**data, "taxonomy": taxonomy.fingerprint}, resume, catalog.catalog_format)
        if share(run.finished):
            progress.say(f"{run.folder} is trained already")
            return family.load(run.model, trust_code)
    counts = count_terminals(taxonomy, pick(targets, split.train))
    seen = content_hashes(catalog.select(np.concatenate([split.train, split.validation])))
    if start is not None:
        counts, seen = counts_of(start, taxonomy, counts), np.union1d(seen, start.seen_keys)
    given = Assignment(catalog, targets, split, taxonomy, counts, store, start, device, trust_code)
    if method == "cross-fit":
        known = None if start is None else start.seen(catalog)
        given = given._replace(folds=folds_of(targets, groups, recipe, len(taxonomy.terminals), known))
    trained = family.train(given, recipe, run, progress)
    predictor = dataclasses.replace(
        trained.predictor,
        seen_keys=seen,
        results={"recipe": recipe.name, **count_training(taxonomy, targets.node, start)},
        catalog_format=catalog.catalog_format,
    )
    if trained.out_of_fold is not None:
        return cross_fitted(predictor, catalog, targets, groups, trained.out_of_fold, recipe)
    return held_out(predictor, catalog, targets, split, recipe, groups)


def guarantee_method(recipe: AnyRecipe, rows: int) -> tuple[str, str]:
    """How the guarantee is fitted, `cross-fit`, `hold-out` or `none`, and why.

    Raises:
        RecipeError: the recipe asks for cross-fitting of a network, or of a split by time.
    """
    asked, linear, timed = recipe.guarantee.method, recipe.family == "linear", recipe.split.by == "time"
    if asked == "cross-fit" and not linear:
        raise RecipeError(
            f"recipe {recipe.name!r} trains a network, which is not cross-fitted: "
            'set guarantee.method = "hold-out" or "auto"'
        )
    if asked == "cross-fit" and timed:
        raise RecipeError('split.by = "time" needs guarantee.method = "hold-out": folds mix old rows and new')
    if asked != "auto":
        return asked, "the recipe says so"
    if not linear:
        return "hold-out", "a network is too expensive to train for each fold"
    if timed:
        return "hold-out", "split.by is time"
    if rows > recipe.guarantee.max_rows:
        return "hold-out", f"{rows:,} rows are more than guarantee.max_rows = {recipe.guarantee.max_rows:,}"
    return "cross-fit", "the model is linear: every labelled row trains and calibrates"


def folds_of(
    targets: Targets, groups: np.ndarray, recipe: AnyRecipe, terminals: int, seen: np.ndarray | None = None
) -> np.ndarray | None:
    """(n,) fold numbers, stratified, near-duplicates in one fold; None of too few rows.

    Every row is trained on. Rows of fold -1 are not scored out of fold: those in `seen`, and those of the
    last folds where the scores of all folds would be more than `guarantee.max_scores`.

    Args:
        targets: of n rows.
        groups: (n,) what near-duplicates share.
        recipe: has the number of folds, the most scores and the seed.
        terminals: of the tree; each row scored has as many scores.
        seen: (n,) rows that an earlier model was trained on; these and their duplicates get -1.
    """
    known = np.isin(groups, groups[seen]) if seen is not None else np.zeros(len(groups), bool)
    if len(np.unique(groups[~known])) < _FEW:
        return None
    asked = recipe.guarantee
    folds = np.full(len(groups), -1)
    folds[~known] = _assign_folds(targets.node[~known], groups[~known], recipe)
    scored = asked.max_scores * asked.folds // max(int((~known).sum()) * terminals, 1)
    folds[folds >= max(scored, 1)] = -1
    return folds


def _assign_folds(node: np.ndarray, groups: np.ndarray, recipe: AnyRecipe) -> np.ndarray:
    """(n,) fold numbers from 0, stratified by node, each group in one fold."""
    shares = np.full(recipe.guarantee.folds, 1 / recipe.guarantee.folds)
    return assign(node, np.unique(groups, return_inverse=True)[1], shares, recipe.seed)


def split_rows(
    catalog: Catalog, targets: Targets, recipe: AnyRecipe, groups: np.ndarray | None = None
) -> SplitRows:
    """The four parts, stratified or by date, near-duplicates on one side (design rule 9).

    Of fewer than ten products (near-duplicates counted once) all are trained on.

    Args:
        catalog: n rows.
        targets: of these.
        recipe: has the shares and the method of the guarantee, and says whether dates split. Only `hold-out`
            keeps rows for calibration and thresholds.
        groups: (n,) what near-duplicates share; None: as `catalog.groups` finds them.

    Raises:
        CatalogError: the recipe splits by time and the catalog has no dates.
    """
    n, split = len(catalog), recipe.split
    dates = dates_of(catalog) if split.by == "time" else None
    groups = catalog.groups() if groups is None else groups
    whole = SplitRows(np.arange(n), *(np.zeros(0, np.int64) for _ in range(3)))
    if len(np.unique(groups)) < _FEW:
        return whole
    most = max(min(split.max_rows, recipe.guarantee.max_scores // len(np.unique(targets.node))), 1)
    aside = [min(share, most / n) for share in (split.validation, split.calibration, split.threshold)]
    if guarantee_method(recipe, n)[0] != "hold-out":  # a linear model is not stopped early
        aside = [0.0 if recipe.family == "linear" else aside[0], 0.0, 0.0]
    shares = np.array([1 - sum(aside), *aside])
    if dates is not None:
        part = assign_by_time(dates, groups, shares)
    else:
        part = assign(targets.node, groups, shares, recipe.seed)
    found = SplitRows(*(np.flatnonzero(part == k) for k in range(4)))
    return found if len(found.train) else whole


def cross_fitted(
    predictor: Any,
    catalog: Catalog,
    targets: Targets,
    groups: np.ndarray,
    found: OutOfFold,
    recipe: AnyRecipe,
) -> Any:
    """The predictor with a policy fitted on out-of-fold scores of its training rows."""
    predictor = _remembering(predictor, catalog, targets, np.arange(len(catalog)))
    known, own = pick(targets, found.rows), groups[found.rows]
    # One fold model's rows are divided anew: each part is calibrated by the others.
    fold = found.fold if len(np.unique(found.fold)) > 1 else _assign_folds(known.node, own, recipe)
    policy = guarantee.cross_fit((found.scores, known, own, found.nearest), fold, settings_of(recipe))
    some = np.linspace(0, len(found.rows) - 1, min(len(found.rows), _PREDICTED)).astype(np.int64)
    rows, scores = catalog.select(found.rows[some]), found.scores[some]
    nearest = None if found.nearest is None else found.nearest.take(some)
    predictions = policy.predict([product.id for product in rows], scores, nearest=nearest)
    embedding = predictor.model.embed(scores.logp)
    return dataclasses.replace(
        predictor,
        zero_shot=found.zero_shot,
        out_of_fold=OutOfFoldPredictions(rows, predictions, embedding),
    ).with_policy(policy)


def settings_of(recipe: AnyRecipe) -> guarantee.Settings:
    """What a recipe asks of its guarantee."""
    asked = recipe.guarantee
    return guarantee.Settings(asked.precision, asked.alpha, prefer=asked.prefer)


def held_out(
    predictor: Any,
    catalog: Catalog,
    targets: Targets,
    split: SplitRows,
    recipe: AnyRecipe,
    groups: np.ndarray,
) -> Any:
    """The predictor with a policy fitted on the two parts that training never saw."""
    if not len(split.calibration) or not len(split.threshold):
        return predictor
    predictor = _remembering(predictor, catalog, targets, split.train)
    samples = []
    for rows in (split.calibration, split.threshold):
        held = catalog.select(rows)
        samples.append((predictor.score(held), pick(targets, rows), groups[rows], predictor.nearest(held)))
    asked = settings_of(recipe)
    policy = guarantee.fit(*samples, precision=asked.precision, alpha=asked.alpha, prefer=asked.prefer)
    aside = np.concatenate([split.calibration, split.threshold])
    return predictor.with_zero_shot(catalog.select(aside), pick(targets, aside)).with_policy(policy)


def _remembering(predictor: Any, catalog: Catalog, targets: Targets, rows: np.ndarray) -> Any:
    tree, some = predictor.taxonomy, rows[:: len(rows) // REMEMBERED + 1]
    return predictor.with_knn_index(catalog.select(some), [tree.nodes[n].id for n in targets.node[some]])


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


def _without_absent_views(
    catalog: Catalog, recipe: AnyRecipe, views: dict[str, View], progress: Progress
) -> AnyRecipe:
    """Leave out the views that no row has: a shop without images trains no image encoder."""
    lacking = set(views)
    for product in catalog:
        lacking -= {name for name in lacking if views[name].value(product) is not None}
        if not lacking:
            return recipe
    if len(lacking) == len(views):
        raise CatalogError(
            f"no row has any of the views that recipe {recipe.name!r} reads ({', '.join(views)}); "
            f"the catalog has fields {', '.join(catalog.fields) or '(none)'}"
        )
    for name in sorted(lacking):
        progress.say(f"view {name!r} is left out: no row has it")
    return recipe.without(lacking)
