"""Trains a predictor: read, split or folds, preprocessors, training, out-of-fold predictions, guarantee."""

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
from aisle.inference.labelled_scores import FILE as SCORES_FILE
from aisle.inference.labelled_scores import LabelledScores
from aisle.inference.training_counts import count_training
from aisle.models.features import FeatureStore
from aisle.models.label_embeddings import count_terminals
from aisle.models.views import View
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Targets, Taxonomy
from aisle.training.cross_fit import REMEMBERED, OutOfFold
from aisle.training.job import SplitRows, TrainingJob
from aisle.training.processes import broadcast
from aisle.training.recipe import AnyRecipe
from aisle.training.run import Run
from aisle.training.warm_start_rows import merge_counts, merge_taxonomies, move_seen_to_train

_MAX_KEPT_PREDICTIONS = 1_500  # out-of-fold predictions kept with the model, the reference of `aisle drift`
_MIN_GROUPS = 10  # products, duplicates counted once, below which all rows train


def family_of(recipe: AnyRecipe) -> Any:
    """The module that trains the recipe's family of models; torch is imported for networks only.

    Returns:
        A module with `check`, `check_start`, `check_tree`, `load`, `readable_views` and `train`.
    """
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

    Returns:
        The predictor.

    Raises:
        CatalogError: no labelled row, or no view that any row has.
        RecipeError, MissingModelError: as the family's `check` and `train`.
    """
    # Read.
    catalog = _labelled_rows(catalog)
    taxonomy, targets = _used_tree(catalog)
    family = family_of(recipe)
    views = family.readable_views(recipe, trust_code)

    # Split or folds.
    method, reason = guarantee_method(recipe, len(catalog))
    progress.say(f"guarantee: {method}, because {reason}")
    # Similar images tie near-duplicates only where the model reads images.
    images = any(view.modality == "image" for view in views.values())
    groups = catalog.groups(images=images, progress=progress)
    split = split_rows(catalog, targets, recipe, groups)
    family.check(recipe, trust_code)
    seen = None
    if start is None:
        recipe = _without_absent_views(catalog.select(split.train), recipe, views, progress)
    else:
        family.check_start(start, recipe)
        taxonomy, targets = merge_taxonomies(start, taxonomy, targets, catalog.official, progress)
        seen = start.seen(catalog)
        split = SplitRows(*move_seen_to_train(split, seen, groups))
    family.check_tree(recipe, taxonomy)
    folds = None
    if method == "cross-fit":
        folds = folds_of(targets, groups, recipe, len(taxonomy.terminals), seen)
    if run is not None:
        run.begin(recipe, _run_data(catalog, split, taxonomy, start), resume, catalog.catalog_format)
        if broadcast(run.finished):
            progress.say(f"{run.folder} is trained already")
            return family.load(run.model, trust_code)

    # Preprocessors, training and out-of-fold predictions.
    counts = count_terminals(taxonomy, targets.select(split.train))
    seen_keys = content_hashes(catalog.select(np.concatenate([split.train, split.validation])))
    if start is not None:
        counts = merge_counts(start, taxonomy, counts)
        seen_keys = np.union1d(seen_keys, start.seen_keys)
    job = TrainingJob(catalog, targets, split, taxonomy, counts, store, start, device, trust_code, folds)
    result = family.train(job, recipe, run, progress)
    predictor = dataclasses.replace(
        result.predictor,
        seen_keys=seen_keys,
        results={"recipe": recipe.name, **count_training(taxonomy, targets.node, start)},
        catalog_format=catalog.catalog_format,
    )

    # Guarantee.
    if result.out_of_fold is not None:
        return fit_cross_fitted_policy(predictor, catalog, targets, groups, result.out_of_fold, recipe, run)
    return fit_held_out_policy(predictor, catalog, targets, split, recipe, groups, run)


def _labelled_rows(catalog: Catalog) -> Catalog:
    """The rows with a label; rows of weight 0 neither train nor test the guarantee."""
    weighted = True if catalog.weights is None else catalog.weights > 0
    labelled = np.flatnonzero((catalog.targets().node >= 0) & weighted)
    if not len(labelled):
        raise CatalogError(f"no row has a usable category: nothing to learn from. {advice(catalog)}")
    return catalog.select(labelled)


def _run_data(catalog: Catalog, split: SplitRows, taxonomy: Taxonomy, start: Any) -> dict[str, Any]:
    """A fingerprint of a run's data, checked when the run is resumed."""
    data = {"fingerprint": catalog.fingerprint, "rows": {k: len(v) for k, v in split._asdict().items()}}
    data |= {"start": start.model_id} if start is not None else {}
    return {**data, "taxonomy": taxonomy.fingerprint}


def guarantee_method(recipe: AnyRecipe, rows: int) -> tuple[str, str]:
    """Choose how the guarantee is fitted.

    Args:
        recipe: its `guarantee.method` decides, unless that is `auto`.
        rows: number of labelled rows.

    Returns:
        `cross-fit`, `hold-out` or `none`, and the reason.

    Raises:
        RecipeError: the recipe asks for cross-fitting of a network, or of a split by time.
    """
    method, linear, by_time = recipe.guarantee.method, recipe.family == "linear", recipe.split.by == "time"
    if method == "cross-fit" and not linear:
        raise RecipeError(
            f"recipe {recipe.name!r} trains a network, which is not cross-fitted: "
            'set guarantee.method = "hold-out" or "auto"'
        )
    if method == "cross-fit" and by_time:
        raise RecipeError('split.by = "time" needs guarantee.method = "hold-out": folds mix old rows and new')
    if method != "auto":
        return method, "the recipe says so"
    if not linear:
        return "hold-out", "a network is too expensive to train for each fold"
    if by_time:
        return "hold-out", "split.by is time"
    if rows > recipe.guarantee.max_rows:
        return "hold-out", f"{rows:,} rows are more than guarantee.max_rows = {recipe.guarantee.max_rows:,}"
    return "cross-fit", "the model is linear: every labelled row trains and calibrates"


def folds_of(
    targets: Targets, groups: np.ndarray, recipe: AnyRecipe, terminals: int, seen: np.ndarray | None = None
) -> np.ndarray | None:
    """Assign rows to stratified folds, near-duplicates to one fold.

    Every row is trained on. Rows of fold -1 are not scored out of fold: those in `seen`, and those of the
    last folds where the scores of all folds would be more than `guarantee.max_scores`.

    Args:
        targets: labels of n rows.
        groups: (n,) group of near-duplicates of each row.
        recipe: sets the number of folds, the most scores and the seed.
        terminals: number of terminals of the tree, which is the number of scores of each row.
        seen: (n,) bool, rows that an earlier model was trained on; these and their duplicates get -1.

    Returns:
        (n,) fold numbers; None if there are too few rows.
    """
    trained = np.isin(groups, groups[seen]) if seen is not None else np.zeros(len(groups), bool)
    if len(np.unique(groups[~trained])) < _MIN_GROUPS:
        return None
    options = recipe.guarantee
    folds = np.full(len(groups), -1)
    folds[~trained] = _assign_folds(targets.node[~trained], groups[~trained], recipe)
    n_scored = options.max_scores * options.folds // max(int((~trained).sum()) * terminals, 1)
    folds[folds >= max(n_scored, 1)] = -1
    return folds


def _assign_folds(node: np.ndarray, groups: np.ndarray, recipe: AnyRecipe) -> np.ndarray:
    """(n,) fold numbers from 0, stratified by node, each group in one fold."""
    shares = np.full(recipe.guarantee.folds, 1 / recipe.guarantee.folds)
    return assign(node, np.unique(groups, return_inverse=True)[1], shares, recipe.seed)


def split_rows(
    catalog: Catalog, targets: Targets, recipe: AnyRecipe, groups: np.ndarray | None = None
) -> SplitRows:
    """Split rows into four parts, stratified or by date, near-duplicates in one part (design rule 9).

    Of fewer than ten products (near-duplicates counted once), all train.

    Args:
        catalog: n rows.
        targets: their labels.
        recipe: sets the shares, whether to split by time, and the method of the guarantee. Only `hold-out`
            holds out rows for calibration and thresholds.
        groups: (n,) group of near-duplicates of each row; `catalog.groups()` by default.

    Raises:
        CatalogError: the recipe splits by time and the catalog has no dates.
    """
    n, split = len(catalog), recipe.split
    dates = dates_of(catalog) if split.by == "time" else None
    groups = catalog.groups() if groups is None else groups
    all_train = SplitRows(np.arange(n), *(np.zeros(0, np.int64) for _ in range(3)))
    if len(np.unique(groups)) < _MIN_GROUPS:
        return all_train
    max_rows = max(min(split.max_rows, recipe.guarantee.max_scores // len(np.unique(targets.node))), 1)
    held_out = [min(s, max_rows / n) for s in (split.validation, split.calibration, split.threshold)]
    if guarantee_method(recipe, n)[0] != "hold-out":  # linear models have no early stopping
        held_out = [0.0 if recipe.family == "linear" else held_out[0], 0.0, 0.0]
    shares = np.array([1 - sum(held_out), *held_out])
    if dates is not None:
        part = assign_by_time(dates, groups, shares)
    else:
        part = assign(targets.node, groups, shares, recipe.seed)
    rows = SplitRows(*(np.flatnonzero(part == k) for k in range(4)))
    return rows if len(rows.train) else all_train


def fit_cross_fitted_policy(
    predictor: Any,
    catalog: Catalog,
    targets: Targets,
    groups: np.ndarray,
    out_of_fold: OutOfFold,
    recipe: AnyRecipe,
    run: Run | None = None,
) -> Any:
    """Fit the policy on the out-of-fold scores of the training rows.

    Args:
        predictor: trained on all rows.
        catalog: n rows.
        targets: their labels.
        groups: (n,) group of near-duplicates of each row.
        out_of_fold: the out-of-fold scores.
        recipe: sets the guarantee.
        run: keeps the scores in its folder.

    Returns:
        The predictor with the policy, and with some of its out-of-fold predictions.
    """
    predictor = _with_knn_index(predictor, catalog, targets, np.arange(len(catalog)))
    labels, label_groups = targets.select(out_of_fold.rows), groups[out_of_fold.rows]
    fold = out_of_fold.fold
    if len(np.unique(fold)) == 1:  # the rows of a single fold model are split again for calibration
        fold = _assign_folds(labels.node, label_groups, recipe)
    sample = (out_of_fold.scores, labels, label_groups, out_of_fold.nearest)
    policy = guarantee.cross_fit(sample, fold, settings_of(recipe))
    keys = content_hashes(catalog.select(out_of_fold.rows))
    nearest = out_of_fold.nearest
    _keep(run, LabelledScores(out_of_fold.scores, labels, label_groups, fold, nearest, "cross-fit", keys))
    n_kept = min(len(out_of_fold.rows), _MAX_KEPT_PREDICTIONS)
    kept = np.linspace(0, len(out_of_fold.rows) - 1, n_kept).astype(np.int64)
    rows, scores = catalog.select(out_of_fold.rows[kept]), out_of_fold.scores[kept]
    nearest = None if out_of_fold.nearest is None else out_of_fold.nearest.take(kept)
    predictions = policy.predict([product.id for product in rows], scores, nearest=nearest)
    embedding = predictor.model.embed(scores.logp)
    return dataclasses.replace(
        predictor,
        zero_shot=out_of_fold.zero_shot,
        out_of_fold=OutOfFoldPredictions(rows, predictions, embedding),
    ).with_policy(policy)


def settings_of(recipe: AnyRecipe) -> guarantee.Settings:
    """The settings of a recipe's guarantee."""
    options = recipe.guarantee
    return guarantee.Settings(options.precision, options.alpha, prefer=options.prefer)


def fit_held_out_policy(
    predictor: Any,
    catalog: Catalog,
    targets: Targets,
    split: SplitRows,
    recipe: AnyRecipe,
    groups: np.ndarray,
    run: Run | None = None,
) -> Any:
    """Fit the policy on the rows held out for calibration and thresholds.

    Args:
        predictor: trained on the training rows.
        catalog: n rows.
        targets: their labels.
        split: the rows of each part.
        recipe: sets the guarantee.
        groups: (n,) group of near-duplicates of each row.
        run: keeps the scores of these rows in its folder.

    Returns:
        The predictor with the policy; unchanged where no rows are held out.
    """
    if not len(split.calibration) or not len(split.threshold):
        return predictor
    predictor = _with_knn_index(predictor, catalog, targets, split.train)

    def sample(rows: np.ndarray) -> guarantee.Sample:
        part = catalog.select(rows)
        return guarantee.Sample(
            predictor.score(part), targets.select(rows), groups[rows], predictor.nearest(part)
        )

    calibration, threshold = sample(split.calibration), sample(split.threshold)
    policy = guarantee.fit(calibration, threshold, **vars(settings_of(recipe)))
    held_out = np.concatenate([split.calibration, split.threshold])
    _keep(run, LabelledScores.of_parts(calibration, threshold, content_hashes(catalog.select(held_out))))
    predictor = predictor.with_zero_shot(catalog.select(held_out), targets.select(held_out))
    return predictor.with_policy(policy)


def _keep(run: Run | None, scores: LabelledScores) -> None:
    """Keep the scores that the guarantee was fitted on in the run's folder."""
    if run is not None and run.writes:
        try:
            scores.save(run.folder)
        except OSError as error:
            run.progress.say(f"{run.folder / SCORES_FILE} cannot be written: {error.strerror or error}")


def _with_knn_index(predictor: Any, catalog: Catalog, targets: Targets, rows: np.ndarray) -> Any:
    """Add the k-nearest-neighbor index over (at most `REMEMBERED` of) these rows."""
    tree, rows = predictor.taxonomy, rows[:: len(rows) // REMEMBERED + 1]
    return predictor.with_knn_index(catalog.select(rows), [tree.nodes[n].id for n in targets.node[rows]])


def _used_tree(catalog: Catalog) -> tuple[Taxonomy, Targets]:
    """The official tree, or the one spanned by the labels, and the labels in it."""
    tree, targets = catalog.taxonomy, catalog.targets()
    if catalog.official:
        return tree, targets
    used = np.unique(targets.node)
    taxonomy = Taxonomy.from_paths(tree.nodes[node].path for node in used)
    number = np.full(len(tree), -1, dtype=np.int64)
    number[used] = [taxonomy.index(tree.nodes[node].path) for node in used]
    return taxonomy, Targets(number[targets.node], targets.exact)


def _without_absent_views(
    catalog: Catalog, recipe: AnyRecipe, views: dict[str, View], progress: Progress
) -> AnyRecipe:
    """Leave out the views that no row has."""
    absent = set(views)
    for product in catalog:
        absent -= {name for name in absent if views[name].value(product) is not None}
        if not absent:
            return recipe
    if len(absent) == len(views):
        raise CatalogError(
            f"no row has any of the views that recipe {recipe.name!r} reads ({', '.join(views)}); "
            f"the catalog has fields {', '.join(catalog.fields) or '(none)'}"
        )
    for name in sorted(absent):
        progress.say(f"view {name!r} is left out: no row has it")
    return recipe.without(absent)
