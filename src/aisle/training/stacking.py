"""Fits ensembles: stacking on out-of-fold predictions, weights, and the guarantee."""

import contextlib
import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aisle.atomic_files import atomic_binary, wrap_write_errors
from aisle.data import Catalog
from aisle.data.splits import assign, folds
from aisle.errors import BundleError, CatalogError
from aisle.guarantee import fit as fit_policy
from aisle.inference.ensemble import Ensemble
from aisle.inference.folder import lock_folder
from aisle.inference.holdout import unseen
from aisle.inference.label_targets import targets_in
from aisle.inference.stack import fit_stack
from aisle.models.features import FeatureStore
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Taxonomy
from aisle.training.fit import fit
from aisle.training.recipe import AnyRecipe
from aisle.training.recipe_toml import to_toml

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor

MAX_STACK_ROWS = 50_000  # rows that the stacked model is trained on
_EM_STEPS = 100
_MIN_GUARANTEE_ROWS = 20  # held-out rows below which no guarantee is fitted
_NOTHING_HELD_OUT = {"validation": 0.0, "calibration": 0.0, "threshold": 0.0}


def out_of_fold(
    catalog: Catalog,
    recipe: AnyRecipe,
    taxonomy: Taxonomy,
    fold: np.ndarray,
    *,
    cache: Path | None = None,
    store: FeatureStore | None = None,
    trust_code: bool = False,
    after_fold: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Score every row with a model that was not trained on its fold.

    Args:
        catalog: n rows.
        recipe: the recipe of the fold models.
        taxonomy: the tree, with N terminals.
        fold: (n,) fold of each row, -1 for rows that are left out.
        cache: a folder for the scores of finished folds; an interrupted call continues from it.
        store: cache of frozen encoders' outputs.
        trust_code: whether outside code may be imported.
        after_fold: called after every fold.

    Returns:
        (n, N) log-probabilities.

    Raises:
        RecipeError, MissingModelError: as `aisle.training.fit.fit`.
    """
    out = np.zeros((len(catalog), len(taxonomy.terminals)), np.float32)
    inputs = [to_toml(recipe), catalog.fingerprint, taxonomy.fingerprint, fold.tobytes().hex()]
    key = hashlib.sha256("\0".join(inputs).encode()).hexdigest()[:16]
    for k in np.unique(fold[fold >= 0]):
        file = cache / f"{key}-{k}.npy" if cache is not None else None
        if file is not None and file.exists():
            out[fold == k] = np.load(file)
        else:
            models = fold_models(
                catalog, recipe, taxonomy, fold, only={int(k)}, store=store, trust_code=trust_code
            )
            for rows, model in models:
                out[rows] = model.score(catalog.select(rows)).all()
                if file is not None:
                    _write_array(file, out[rows])
        after_fold()
    return out


def _write_array(file: Path, array: np.ndarray) -> None:
    with wrap_write_errors(file, BundleError), atomic_binary(file) as handle:
        np.save(handle, array)


def fold_models(
    catalog: Catalog,
    recipe: AnyRecipe,
    taxonomy: Taxonomy,
    fold: np.ndarray,
    *,
    only: Collection[int] | None = None,
    store: FeatureStore | None = None,
    trust_code: bool = False,
    progress: Progress = SILENT,
) -> "Iterator[tuple[np.ndarray, Predictor]]":
    """Train a model on all folds but one, for each fold.

    Args:
        catalog: n rows.
        recipe: the recipe of the models; nothing is held out.
        taxonomy: the tree of all models.
        fold: (n,) fold of each row, -1 for rows that are left out.
        only: train for these folds only.
        store: cache of frozen encoders' outputs.
        trust_code: whether outside code may be imported.
        progress: reports progress.

    Yields:
        The rows of a fold, and the model that was not trained on them.

    Raises:
        RecipeError, MissingModelError: as `aisle.training.fit.fit`.
    """
    node = targets_in(taxonomy, catalog).node
    labels = [taxonomy.nodes[n].path if n >= 0 else None for n in node]
    labelled = catalog.with_labels(labels, taxonomy)  # so that all models predict over the same tree
    fold_recipe = recipe.model_copy(
        update={
            "split": recipe.split.model_copy(update=_NOTHING_HELD_OUT),
            "guarantee": recipe.guarantee.model_copy(update={"method": "hold-out"}),
        }
    )
    for k in np.unique(fold[fold >= 0]):
        if only is not None and k not in only:
            continue
        train = labelled.select((fold != k) & (fold >= 0))
        model = fit(train, fold_recipe, store=store, trust_code=trust_code, progress=progress)
        yield np.flatnonzero(fold == k), model


def fit_stacked_ensemble(
    members: "Sequence[Predictor]",
    names: Sequence[str],
    recipes: Sequence[AnyRecipe],
    catalog: Catalog,
    *,
    n_folds: int = 5,
    cache: Path | None = None,
    trust_code: bool = False,
    progress: Progress = SILENT,
) -> Ensemble:
    """Fit a LightGBM model on the out-of-fold scores of models like the members.

    Each recipe is trained in `n_folds` folds of the rows that some member was trained on. Rows that no member
    was trained on are left for `fit_guarantee`.

    Args:
        members: the models, over one tree.
        names: their names.
        recipes: their recipes.
        catalog: labelled rows.
        n_folds: number of folds.
        cache: a folder for the scores of finished folds; an interrupted call continues from it.
        trust_code: whether outside code may be imported.
        progress: shows how many fold models are trained.

    Raises:
        CatalogError: too few labelled rows.
        BundleError: `cache` cannot be written, or another process uses it.
        MissingExtraError: LightGBM is not installed.
    """
    mean = Ensemble.of(members, names)
    tree, store = mean.taxonomy, members[0].store or FeatureStore()
    targets = targets_in(tree, catalog)
    trained = np.flatnonzero((targets.node >= 0) & mean.seen(catalog))
    if len(trained) < 2 * n_folds:
        raise CatalogError(
            f"{len(trained):,} of these rows are labelled and were learned from: too few for {n_folds} folds"
        )
    if len(trained) > MAX_STACK_ROWS:
        trained = np.sort(np.random.default_rng(0).choice(trained, MAX_STACK_ROWS, replace=False))
    rows, targets = catalog.select(trained), targets.select(trained)
    fold = folds(rows, n_folds)
    scores = []
    with _locked(cache), progress("training in folds", len(recipes) * n_folds, "models") as advance:
        for recipe in recipes:
            scores.append(
                out_of_fold(
                    rows, recipe, tree, fold, cache=cache, store=store, trust_code=trust_code,
                    after_fold=lambda: advance(1),
                )
            )  # fmt: skip
    terminal = np.where(targets.exact, tree.terminal_of[targets.node], -1)
    stack = fit_stack(names, scores, terminal, tree, np.asarray(mean.context.counts))
    logp = [*scores, np.logaddexp.reduce(scores, axis=0)]
    hits = [(s.argmax(1) == terminal)[targets.exact] for s in logp]
    results = {
        "how": "stack",
        "out_of_fold": {name: float(hit.mean()) for name, hit in zip((*names, "mean"), hits, strict=True)},
        "importances": stack.importances(tree.depth),
        "stacked_rows": len(trained),
    }
    return Ensemble(mean.members, mean.names, mean.weights, stack, policy=mean.policy, results=results)


@contextlib.contextmanager
def _locked(folder: Path | None) -> Iterator[None]:
    """Create and lock a folder, if one is given."""
    with contextlib.ExitStack() as stack:
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(lock_folder(folder, wait=False))
            except BlockingIOError:
                raise BundleError(f"another process stacks in {folder}; wait until it ends") from None
            except OSError as error:
                if not folder.is_dir():
                    raise BundleError(f"{folder} cannot be written: {error.strerror or error}") from error
        yield


def fit_weighted_ensemble(members: "Sequence[Predictor]", names: Sequence[str], catalog: Catalog) -> Ensemble:
    """Fit the weights of a mean of members by maximum likelihood on rows that no member was trained on.

    The weights are those of a mixture, found by EM; equal weights where there are no such rows.

    Args:
        members: M models, over one tree.
        names: their names.
        catalog: labelled rows.
    """
    mean = Ensemble.of(members, names)
    rows, targets = unseen(mean, catalog)
    if not len(rows):
        return mean
    held_out = catalog.select(rows)
    likelihood = np.exp(-np.stack([member.score(held_out).nll(targets) for member in members], 1))  # (n, M)
    weights = mean.weights
    for _ in range(_EM_STEPS):
        joint = weights * likelihood
        weights = (joint / joint.sum(1, keepdims=True).clip(1e-300)).mean(0)
    return Ensemble.of(members, names, weights.tolist())


def fit_guarantee(
    ensemble: Ensemble, catalog: Catalog, precision: float = 0.95, alpha: float = 0.05
) -> Ensemble:
    """Fit the policy of an ensemble on rows that no member was trained on.

    Args:
        ensemble: the ensemble.
        catalog: labelled rows.
        precision: to guarantee.
        alpha: probability that the guarantee fails.

    Returns:
        The ensemble with the policy; unchanged where there are too few such rows.
    """
    rows, targets = unseen(ensemble, catalog)
    groups = catalog.groups()[rows]
    if len(rows) < _MIN_GUARANTEE_ROWS:
        return ensemble
    part = assign(targets.node, groups, np.array([0.4, 0.6]), 0)  # calibration, thresholds
    samples = []
    for k in (0, 1):
        in_fold = part == k
        products = catalog.select(rows[in_fold])
        samples.append(
            (ensemble.score(products), targets.select(in_fold), groups[in_fold], ensemble.nearest(products))
        )
    return ensemble.with_policy(fit_policy(*samples, precision=precision, alpha=alpha))


def recipe_of(run: Path) -> AnyRecipe:
    """The recipe of a run.

    Raises:
        CatalogError: the folder has no recipe.
    """
    from aisle.training.recipe import load_recipe

    file = run / "recipe.toml"
    if not file.is_file():
        raise CatalogError(
            f"{run} holds no recipe.toml: stacking trains each model again in folds, so name the run's folder"
        )
    return load_recipe(file)
