"""Ensembles from labelled rows: out-of-fold predictions, what is stacked on them, and what is promised."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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
from aisle.taxonomy import Targets, Taxonomy
from aisle.training.fit import fit
from aisle.training.recipe import AnyRecipe, to_toml

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor

MOST = 50_000  # rows that trees are stacked on
_SPLIT = {"validation": 0.0, "calibration": 0.0, "threshold": 0.0}


def out_of_fold(
    catalog: Catalog,
    recipe: AnyRecipe,
    taxonomy: Taxonomy,
    number: np.ndarray,
    *,
    keep: Path | None = None,
    store: FeatureStore | None = None,
    trust_code: bool = False,
    each: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """(n, N) log-probabilities over `taxonomy`, each row answered by a model that has seen no row of its
    fold. number: (n,) the fold of each row; keep: a folder of what finished folds answered, from which an
    interrupted call goes on; each: called after every training.

    Raises:
        RecipeError, MissingModelError: as `aisle.training.fit.fit`.
    """
    out = np.zeros((len(catalog), len(taxonomy.terminals)), np.float32)
    said = [to_toml(recipe), catalog.fingerprint, taxonomy.fingerprint, number.tobytes().hex()]
    key = hashlib.sha256("\0".join(said).encode()).hexdigest()[:16]
    for k in np.unique(number[number >= 0]):
        file = keep / f"{key}-{k}.npy" if keep is not None else None
        if file is not None and file.exists():
            out[number == k] = np.load(file)
        else:
            given: Any = {"store": store, "trust_code": trust_code, "only": {int(k)}}
            for rows, model in fold_models(catalog, recipe, taxonomy, number, **given):
                out[rows] = model.score(catalog.select(rows)).all()
                if file is not None:
                    _keep(file, out[rows])
        each()
    return out


def _keep(file: Path, array: np.ndarray) -> None:
    beside = file.with_name(f".{file.name}.part")
    try:
        with beside.open("wb") as handle:
            np.save(handle, array)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(file)
    except OSError as error:
        raise BundleError(f"{file} cannot be written: {error.strerror or error}") from error


def fold_models(
    catalog: Catalog,
    recipe: AnyRecipe,
    taxonomy: Taxonomy,
    number: np.ndarray,
    *,
    only: Collection[int] | None = None,
    store: FeatureStore | None = None,
    trust_code: bool = False,
    progress: Progress = SILENT,
) -> "Iterator[tuple[np.ndarray, Predictor]]":
    """For each fold its rows and a model, over `taxonomy`, that has learned from all others.

    number: (n,) the fold of each row, -1 for rows that are left out of everything. only: of these folds.

    Raises:
        RecipeError, MissingModelError: as `aisle.training.fit.fit`.
    """
    node = targets_in(taxonomy, catalog).node
    labels = [taxonomy.nodes[n].path if n >= 0 else None for n in node]
    pinned = catalog.with_labels(labels, taxonomy)  # so that every fold's model answers for the same places
    # Every row outside the fold trains; whoever asks calibrates on the fold, which the model has not seen.
    plain = recipe.model_copy(
        update={
            "split": recipe.split.model_copy(update=_SPLIT),
            "guarantee": recipe.guarantee.model_copy(update={"method": "hold-out"}),
        }
    )
    for k in np.unique(number[number >= 0]):
        if only is not None and k not in only:
            continue
        learned = pinned.select((number != k) & (number >= 0))
        model = fit(learned, plain, store=store, trust_code=trust_code, progress=progress)
        yield np.flatnonzero(number == k), model


def stacked(
    members: "Sequence[Predictor]",
    names: Sequence[str],
    recipes: Sequence[AnyRecipe],
    catalog: Catalog,
    *,
    count: int = 5,
    keep: Path | None = None,
    trust_code: bool = False,
    progress: Progress = SILENT,
) -> Ensemble:
    """Members with a booster on top, trained on what models like them say of rows they have not seen.

    Each recipe is trained again in `count` folds of the rows that some member learned from. Rows that no
    member saw are left for `promised`. keep: a folder of what finished folds answered, from which an
    interrupted call goes on.

    Raises:
        CatalogError: too few labelled rows.
        BundleError: `keep` cannot be written, or another process writes it.
        MissingExtraError: LightGBM is not installed.
    """
    plain = Ensemble.of(members, names)
    tree, store = plain.taxonomy, members[0].store or FeatureStore()
    targets = targets_in(tree, catalog)
    usable = np.flatnonzero((targets.node >= 0) & plain.seen(catalog))
    if len(usable) < 2 * count:
        raise CatalogError(
            f"{len(usable):,} of these rows are labelled and were learned from: too few for {count} folds"
        )
    if len(usable) > MOST:
        usable = np.sort(np.random.default_rng(0).choice(usable, MOST, replace=False))
    rows = catalog.select(usable)
    number = folds(rows, count)
    scores = []
    with _working_in(keep), progress("training in folds", len(recipes) * count, "models") as advance:
        for recipe in recipes:
            given: Any = {"store": store, "trust_code": trust_code, "each": lambda: advance(1), "keep": keep}
            scores.append(out_of_fold(rows, recipe, tree, number, **given))
    exact = targets.exact[usable]
    terminal = np.where(exact, tree.terminal_of[targets.node[usable]], -1)
    stack = fit_stack(names, scores, terminal, tree, np.asarray(plain.context.counts))
    mean = np.logaddexp.reduce(scores, axis=0).argmax(1)
    right = {
        name: float((s.argmax(1) == terminal)[exact].mean()) for name, s in zip(names, scores, strict=True)
    }
    results = {
        "how": "stack",
        "out_of_fold": right | {"mean": float((mean == terminal)[exact].mean())},
        "importances": stack.importances(tree.depth),
        "stacked_rows": len(usable),
    }
    return Ensemble(plain.members, plain.names, plain.weights, plain.policy, stack, results=results)


@contextlib.contextmanager
def _working_in(keep: Path | None) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        if keep is not None:
            try:
                keep.mkdir(parents=True, exist_ok=True)
                stack.enter_context(lock_folder(keep, wait=False))
            except BlockingIOError:
                raise BundleError(f"another process stacks in {keep}; wait until it ends") from None
            except OSError as error:
                if not keep.is_dir():
                    raise BundleError(f"{keep} cannot be written: {error.strerror or error}") from error
        yield


def weighted(members: "Sequence[Predictor]", names: Sequence[str], catalog: Catalog) -> Ensemble:
    """The mean whose weights make rows that no member saw most probable (EM for a mixture's shares); equal
    weights where there are no such rows."""
    plain = Ensemble.of(members, names)
    rows, targets = unseen(plain, catalog)
    if not len(rows):
        return plain
    held = catalog.select(rows)
    likely = np.exp(-np.stack([member.score(held).nll(targets) for member in members], 1))  # (n, M)
    share = plain.weights
    for _ in range(100):
        part = share * likely
        share = (part / part.sum(1, keepdims=True).clip(1e-300)).mean(0)
    return Ensemble.of(members, names, share.tolist())


def promised(ensemble: Ensemble, catalog: Catalog, precision: float = 0.95, alpha: float = 0.05) -> Ensemble:
    """The same with a policy fitted on two parts of the rows that no member saw, where there are any."""
    rows, targets = unseen(ensemble, catalog)
    groups = catalog.groups()[rows]
    if len(rows) < 20:
        return ensemble
    part = assign(targets.node, groups, np.array([0.4, 0.6]), 0)
    samples = []
    for k in (0, 1):
        held = catalog.select(rows[part == k])
        own = Targets(targets.node[part == k], targets.exact[part == k])
        samples.append((ensemble.score(held), own, groups[part == k], ensemble.nearest(held)))
    return ensemble.with_policy(fit_policy(*samples, precision=precision, alpha=alpha))


def recipe_of(run: Path) -> AnyRecipe:
    """What a run's folder was trained with.

    Raises:
        CatalogError: it holds a model alone, not how it was made.
    """
    from aisle.training.recipe import load_recipe

    file = run / "recipe.toml"
    if not file.is_file():
        raise CatalogError(
            f"{run} holds no recipe.toml: stacking trains each model again in folds, so name the run's folder"
        )
    return load_recipe(file)
