"""Hyperparameter search over a recipe, by cross-validation, with Optuna.

The first trial is the recipe as it is; then a TPE sampler (Bergstra et al., NeurIPS 2011) proposes values.
All trials are evaluated on the same folds, near-duplicates in one fold; a trial that is below the median of
the earlier ones after a fold is stopped. The best of many trials looks better on these folds than it is. So
the best recipe and the given one are trained once more, on folds cut anew, and their difference is reported
with its interval.
"""

import csv
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aisle.atomic_files import atomic_text
from aisle.data import Catalog
from aisle.data.splits import folds as fold_numbers
from aisle.errors import AisleError, CatalogError, extra
from aisle.inference.label_targets import targets_in
from aisle.metrics import Interval, Truth, overall, overall_metrics, paired_bootstrap
from aisle.models.features import FeatureStore
from aisle.progress import SILENT, Progress
from aisle.training.recipe import AnyRecipe
from aisle.training.recipe_toml import to_toml
from aisle.training.search_space import Hyperparameter, Value, recipe_value, with_values
from aisle.training.stacking import fold_models

STUDY = "study.log"  # Optuna's journal
TRIALS = "trials.csv"
BEST = "best.toml"
_INPUTS = "tune.json"
_RANDOM_TRIALS = 8  # trials drawn at random before TPE proposes any, and before any is stopped


class Trial(NamedTuple):
    """One set of values.

    Attributes:
        number: 0 is the recipe as it is.
        values: by recipe key.
        state: `complete`, `pruned` (stopped after some folds) or `failed`.
        metric: mean over all rows of the folds that were evaluated; None for a failed trial.
        seconds: time it took.
    """

    number: int
    values: dict[str, Value]
    state: str
    metric: float | None
    seconds: float


class Tuning(NamedTuple):
    """The result of a search.

    Attributes:
        recipe: the best recipe.
        metric: name of the metric.
        trials: all trials, the best first, then the stopped ones.
        gain: the best recipe's metric minus that of the recipe as it is, on folds cut anew, with its 95 %
            interval; None where the recipe as it is came out best.
    """

    recipe: AnyRecipe
    metric: str
    trials: list[Trial]
    gain: Interval | None

    @property
    def best(self) -> Trial:
        """The best trial."""
        return self.trials[0]

    @property
    def default(self) -> Trial:
        """The trial of the recipe as it is."""
        return next(trial for trial in self.trials if trial.number == 0)


def tune(
    catalog: Catalog,
    recipe: AnyRecipe,
    space: Sequence[Hyperparameter],
    *,
    out: Path,
    budget: float | None = 1800.0,
    trials: int | None = None,
    metric: str = "accuracy",
    folds: int = 3,
    seed: int = 0,
    resume: bool = False,
    store: FeatureStore | None = None,
    trust_code: bool = False,
    progress: Progress = SILENT,
) -> Tuning:
    """Search the hyperparameters of a recipe.

    Args:
        catalog: Labelled rows. Rows marked `test` are never used.
        recipe: The recipe to improve.
        space: Hyperparameters and their ranges (`aisle.training.search_space`).
        out: Folder of the study, `trials.csv` and `best.toml`.
        budget: Seconds of this call, the final comparison included; no trial begins that would exceed it. At
            least the recipe as it is and one other trial are evaluated.
        trials: The most trials in all, those of earlier calls included.
        metric: A metric of `aisle.metrics.overall`.
        folds: Number of folds.
        seed: Seed of the folds and of the sampler.
        resume: Continue the study in `out`.
        store: Cache of frozen encoders' outputs.
        trust_code: Whether outside code may be imported.
        progress: Reports progress.

    Raises:
        CatalogError: There are too few labelled rows that are not marked `test`.
        AisleError: `metric` is unknown, or `out` holds another study.
        MissingExtraError: Optuna is not installed.
    """
    optuna = extra("optuna", "tune", "tuning")
    start = time.monotonic()
    if metric not in overall.__all__:
        raise AisleError(f"there is no metric {metric!r}: {', '.join(overall.__all__)}")
    rows = _usable_rows(catalog, folds)
    _check_folder(out, recipe, space, rows, {"metric": metric, "folds": folds, "seed": seed}, resume)
    evaluator = _Evaluator(rows, metric, store or FeatureStore(), trust_code)
    study = _open_study(optuna, out, seed)
    if not study.trials:
        study.enqueue_trial({parameter.key: recipe_value(recipe, parameter.key) for parameter in space})
    fold = fold_numbers(rows, folds, seed)
    with progress("tuning", trials, "trials") as advance:
        advance(_finished(study))
        while _goes_on(study, trials, budget, time.monotonic() - start):
            trial = study.ask()
            try:
                values = {parameter.key: parameter.suggest(trial) for parameter in space}
                _run_trial(optuna, study, trial, evaluator, with_values(recipe, values), fold)
            except AisleError as error:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                if trial.number == 0:
                    raise
                progress.say(f"trial {trial.number} failed: {error}")
            advance(1)
            write_trials(out / TRIALS, _trials(study), metric)
    found = _trials(study)
    best = with_values(recipe, found[0].values)
    gain = None
    if found[0].number:
        progress.say("comparing the best recipe with the given one on other folds")
        gain = evaluator.gain(best, recipe, fold_numbers(rows, folds, seed + 1))
    with atomic_text(out / BEST) as handle:
        handle.write(to_toml(best))
    return Tuning(best, metric, found, gain)


class _Evaluator:
    """Trains recipes in folds, and evaluates them."""

    def __init__(self, rows: Catalog, metric: str, store: FeatureStore, trust_code: bool) -> None:
        self.rows, self.metric, self.store, self.trust_code = rows, metric, store, trust_code
        self.taxonomy = rows.taxonomy
        self.truth = Truth.of(self.taxonomy, targets_in(self.taxonomy, rows))

    def predictions(self, recipe: AnyRecipe, fold: np.ndarray) -> Any:
        """Yield the rows of each fold, and the nodes predicted for them."""
        models = fold_models(
            self.rows, recipe, self.taxonomy, fold, store=self.store, trust_code=self.trust_code
        )
        for rows, model in models:
            best = model.score(self.rows.select(rows)).logp.argmax(1)
            yield rows, self.taxonomy.terminals[best]

    def value(self, rows: np.ndarray, node: np.ndarray) -> float:
        """The metric of the nodes predicted for some rows."""
        return overall_metrics(self.truth[rows].match(node))[self.metric]

    def gain(self, recipe: AnyRecipe, other: AnyRecipe, fold: np.ndarray) -> Interval:
        """The difference of two recipes' metrics, with its interval."""
        results = []
        for recipe_ in (recipe, other):
            node = np.zeros(len(self.rows), np.int64)
            for rows, predicted in self.predictions(recipe_, fold):
                node[rows] = predicted
            results.append(np.stack([np.arange(len(node)), node], 1))
        resamples = 2000 if self.metric == "accuracy" else 400
        return paired_bootstrap(
            results[0],
            results[1],
            lambda pairs: self.value(pairs[:, 0], pairs[:, 1]),
            groups=self.rows.groups(),
            resamples=resamples,
        )


def _run_trial(
    optuna: Any, study: Any, trial: Any, evaluator: _Evaluator, recipe: AnyRecipe, fold: np.ndarray
) -> None:
    """Evaluate a trial fold by fold, until it ends or is stopped."""
    scores_so_far, node = [], []
    for step, (rows, predicted) in enumerate(evaluator.predictions(recipe, fold)):
        scores_so_far.append(rows)
        node.append(predicted)
        trial.report(evaluator.value(np.concatenate(scores_so_far), np.concatenate(node)), step)
        if step < fold.max() and trial.number and trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return
    study.tell(trial, evaluator.value(np.concatenate(scores_so_far), np.concatenate(node)))


def _usable_rows(catalog: Catalog, folds: int) -> Catalog:
    """The labelled rows that are not marked `test`."""
    usable = (catalog.targets().node >= 0) & ~catalog.fatal
    test = np.zeros(len(catalog), bool) if catalog.split is None else catalog.split == "test"
    rows = np.flatnonzero(usable & ~test)
    if len(rows) < 10 * folds:
        left_out = f"; {int((usable & test).sum()):,} rows marked `test` are never tuned on" * bool(
            test.any()
        )
        raise CatalogError(f"{len(rows):,} labelled rows are too few to tune in {folds} folds{left_out}")
    return catalog.select(rows)


def _check_folder(
    out: Path,
    recipe: AnyRecipe,
    space: Sequence[Hyperparameter],
    rows: Catalog,
    options: Mapping[str, Any],
    resume: bool,
) -> None:
    """Create the folder, or check that it holds the same study."""
    inputs = {
        "recipe": to_toml(recipe),
        "search": [str(parameter) for parameter in space],
        "catalog": rows.fingerprint,
        **options,
    }
    file = out / _INPUTS
    if out.exists() and not out.is_dir():
        raise AisleError(f"--out: {out} is a file: name a folder")
    if file.exists():
        earlier = json.loads(file.read_text())
        changed = [name for name in inputs if earlier.get(name) != inputs[name]]
        if changed:
            raise AisleError(f"{out} holds a study with another {changed[0]}: name another --out")
        if not resume:
            raise AisleError(f"{out} holds a study: add --resume to continue it, or name another --out")
        return
    if out.exists() and any(out.iterdir()):
        raise AisleError(f"{out} is not empty and holds no study: name another --out")
    out.mkdir(parents=True, exist_ok=True)
    with atomic_text(file) as handle:
        json.dump(inputs, handle, ensure_ascii=False, indent=2)


def _open_study(optuna: Any, out: Path, seed: int) -> Any:
    """Open or create the study; trials that an interrupted call left unfinished count as failed."""
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(out / STUDY)))
    study = optuna.create_study(
        storage=storage,
        study_name="aisle",
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM_TRIALS),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_RANDOM_TRIALS),
    )
    for trial in study.trials:
        if trial.state == optuna.trial.TrialState.RUNNING:
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial(trial.params or trial.system_attrs.get("fixed_params", {}))
    return study


def _finished(study: Any) -> int:
    return sum(trial.state.is_finished() for trial in study.trials)


def _goes_on(study: Any, trials: int | None, budget: float | None, elapsed: float) -> bool:
    """Whether another trial fits: with it, and with the final comparison, the budget must hold."""
    finished = [trial for trial in study.trials if trial.state.is_finished()]
    if len(finished) < 2 and (trials is None or len(finished) < trials):
        return True
    if trials is not None and len(finished) >= trials:
        return False
    longest = max((trial.duration.total_seconds() for trial in finished if trial.duration), default=0.0)
    return budget is None or elapsed + 3 * longest <= budget


def _trials(study: Any) -> list[Trial]:
    """All finished trials, complete ones first, the best first."""
    names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    results = []
    for trial in study.trials:
        if trial.state.name not in names or (trial.state.name == "FAIL" and not trial.params):
            continue
        value = trial.value if trial.state.name == "COMPLETE" else None
        if value is None and trial.intermediate_values:
            value = trial.intermediate_values[max(trial.intermediate_values)]
        seconds = trial.duration.total_seconds() if trial.duration else 0.0
        results.append(Trial(trial.number, dict(trial.params), names[trial.state.name], value, seconds))
    order = list(names.values())
    return sorted(results, key=lambda trial: (order.index(trial.state), -(trial.metric or 0.0), trial.number))


def write_trials(file: Path, trials: Sequence[Trial], metric: str) -> None:
    """Write all trials as CSV, the best first."""
    keys = list(dict.fromkeys(key for trial in trials for key in trial.values))
    with atomic_text(file, newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["trial", "state", metric, "seconds", *keys])
        for trial in trials:
            value = "" if trial.metric is None else f"{trial.metric:.6f}"
            cells = [trial.values.get(key, "") for key in keys]
            writer.writerow([trial.number, trial.state, value, f"{trial.seconds:.1f}", *cells])
