"""The functions of the Python API that need a model: `train`, `load`, `evaluate`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aisle.errors import BundleError, RecipeError
from aisle.progress import SILENT, Progress
from aisle.progress_bars import choose_progress

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.data.sources import Source
    from aisle.evaluation import Evaluation
    from aisle.inference.base_predictor import BasePredictor
    from aisle.rules import Ruleset
    from aisle.training.recipe import AnyRecipe


def train(
    source: Source | Catalog,
    recipe: str | Path | Mapping[str, Any] | AnyRecipe | None = None,
    *,
    changes: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    init_from: str | Path | BasePredictor | None = None,
    device: str = "auto",
    track: Sequence[str] | None = None,
    trust_code: bool = False,
    progress: Progress | bool | None = None,
) -> BasePredictor:
    """Train a model on labelled products; only on the `train` rows where there is a `split` column.

    Args:
        source: A catalog, or what `read` accepts: a file, a data frame, rows, … A string is a path.
        recipe: A shipped recipe's name, a .toml file, or the recipe itself. Default: the recipe of the run
            that is resumed or started from, else `fast`.
        changes: Changes to recipe keys, such as `"stages.0.epochs=5"`.
        out: A run folder for the bundle (`out/model`), checkpoints and metrics.
        resume: Continue an interrupted run in `out`.
        init_from: A run, bundle or predictor to start from, with new rows and categories. The recipe must
            have the same network.
        device: cpu, cuda, mps or auto.
        track: Experiment trackers, in addition to metrics.csv: tensorboard, mlflow, wandb. Default:
            TensorBoard, where it is installed.
        trust_code: Allow recipes to import your own code (`my_file:ClassName`).
        progress: True to show progress on standard error. Default: a bar in notebooks only.

    Raises:
        AisleError: No usable rows, a bad recipe, missing pretrained weights, or a folder in use.
        SourceTypeError: A `TypeError`: a catalog is not read from such an object.
    """
    from aisle.evaluation.drift import save_reference
    from aisle.training import processes
    from aisle.training.fit import fit
    from aisle.training.run import Run

    progress = choose_progress(progress)
    run = Run(Path(out), track, progress) if out is not None else None
    if run is not None:
        run.check(resume)
    saved = init_from if isinstance(init_from, str | Path) else None
    resolved = resolve(recipe, changes, out if resume else None, saved)
    earlier = load(init_from, trust_code=trust_code) if isinstance(init_from, str | Path) else init_from
    rows = part(_catalog_of(source, progress), "train")
    where = training_device(resolved, device)
    try:
        processes.join_group(where)
        predictor = fit(
            rows,
            resolved,
            run=run,
            resume=resume,
            start=earlier,
            device=where,
            trust_code=trust_code,
            progress=progress,
        )
        if run is not None and run.writes:
            if not run.finished:
                predictor = predictor.save(run.model)
                save_reference(predictor, rows, run.folder, progress)
            run.end()
    except Exception:
        if run is not None:
            run.discard_if_untrained()
        raise
    finally:
        if run is not None:
            run.trackers.finish()
            run.release()
        processes.leave_group()
    return predictor


def training_device(recipe: AnyRecipe, name: str) -> Any:
    """The torch device that a network is trained on; None for a linear model, which is trained on the CPU.

    Args:
        recipe: The resolved recipe.
        name: cpu, cuda, mps or auto.

    Raises:
        DeviceError: The device does not exist or does not support the recipe's precision, or the recipe is
            linear and the device is not the CPU.
    """
    from aisle.models.devices import DEVICES, DeviceError, device_of, precision_of

    if recipe.family != "linear":
        where = device_of(name)
        precision_of(recipe.precision, where)
        return where
    if name in DEVICES and name not in ("auto", "cpu"):
        raise DeviceError(f"recipe {recipe.name!r} is linear and trained on the CPU: leave --device out")
    return None if name in DEVICES else device_of(name)


def resolve(
    recipe: str | Path | Mapping[str, Any] | AnyRecipe | None,
    changes: Sequence[str] = (),
    resumed: str | Path | None = None,
    init_from: str | Path | None = None,
) -> AnyRecipe:
    """Load the recipe; by default that of the run that is resumed or started from, else `fast`.

    Args:
        recipe: A shipped recipe's name, a .toml file, or the recipe itself.
        changes: Changes to recipe keys.
        resumed: The run that is resumed.
        init_from: The run or bundle that training starts from.

    Raises:
        RecipeError: As `aisle.training.recipe.load_recipe`; or `init_from` has no recipe.
        BundleError: The folder `init_from` does not exist.
    """
    from aisle.training.recipe import left_out, load_recipe

    if recipe is not None:
        return load_recipe(recipe, changes)
    # A run killed while it was set up may have no more than half a recipe, and no catalog.json.
    homes = [Path(resumed)] if resumed is not None else []
    if init_from is not None:  # a run, or the bundle in it
        homes += [Path(init_from), Path(init_from).parent]
    kept = ("catalog.json", "recipe.toml")  # a bundle has the former alone
    own = next((home / kept[1] for home in homes if all((home / name).exists() for name in kept)), None)
    if own is not None:
        return load_recipe(own, [change for change in changes if not left_out(change, own)])
    if init_from is not None:
        if not Path(init_from).exists():
            raise BundleError(f"there is no folder {init_from}")
        raise RecipeError(f"{init_from} is not in a run folder with a recipe: name the recipe")
    return load_recipe("fast", changes)


def load(
    folder: str | Path,
    *,
    trust_code: bool = False,
    device: str = "cpu",
    precision: float | None = None,
    rules: Ruleset | str | Path | None = None,
) -> BasePredictor:
    """Load a saved model.

    Args:
        folder: A bundle, a run folder, an exported model, an ensemble or a cascade; or a model of the Hugging
            Face Hub: `hf://org/model`, `hf://org/model@revision`.
        trust_code: Allow the model to import your own code (`my_file:ClassName`).
        device: The device of a network: cpu, cuda, mps or auto.
        precision: A point of the model's operating curve (default: the precision it was calibrated for).
        rules: Rules that act on predictions, or their file; `none`: without rules. Default: those that the
            model was saved with.

    Raises:
        RulesError: The rules are malformed, or name an unknown category or field.
        DeviceError: The device does not exist.
        PolicyError: The curve has no point of this precision.
        BundleError: The bundle is missing, truncated, edited, or of a newer version.
        HubError: The model cannot be downloaded.
    """
    from aisle.inference.loading import at_precision, open_model

    model = open_model(Path(folder), trust_code, device)
    if precision is not None:
        model = at_precision(model, precision)
    if isinstance(rules, str | Path) and str(rules) == "none":
        return model.with_rules(None)
    return model if rules is None else model.with_rules(rules)


def evaluate(
    model: BasePredictor,
    source: Source | Catalog,
    *,
    baseline: Source | Catalog | None = None,
    progress: Progress | bool | None = None,
) -> Evaluation:
    """Evaluate a model on labelled rows: the `test` rows where there is a `split` column, else all.

    Args:
        model: The model.
        source: Labelled products: a catalog, or what `read` accepts, read by the columns of the training
            catalog. A string is a path.
        baseline: Training rows of a linear SVM on TF-IDF to compare with (the `train` rows where there is a
            `split` column).
        progress: True to show progress on standard error. Default: a bar in notebooks only.

    Raises:
        CatalogError: No row has any view that the model reads.
        SourceTypeError: A `TypeError`: a catalog is not read from such an object.
    """
    from aisle import evaluation
    from aisle.inference.known_columns import check_columns

    progress = choose_progress(progress)
    catalog = _catalog_of(source, progress, like=model)
    against = part(_catalog_of(baseline, progress, like=model), "train") if baseline is not None else None
    check_columns(model, catalog)
    return evaluation.evaluate(model, part(catalog, "test"), baseline=against, progress=progress)


def _catalog_of(source: Source | Catalog, progress: Progress, like: BasePredictor | None = None) -> Catalog:
    """The catalog itself, or what is read from the source."""
    from aisle import data

    return source if isinstance(source, data.Catalog) else data.read(source, like=like, progress=progress)


def part(catalog: Catalog, name: str) -> Catalog:
    """The rows of a split; all rows where there is no split column or no such value, but never `test` rows as
    `train`."""
    if catalog.split is None:
        return catalog
    if name in set(catalog.split):
        return catalog.select(catalog.split == name)
    return catalog.select(catalog.split != "test") if name == "train" else catalog


def rows_to_choose_on(catalog: Catalog) -> Catalog:
    """The rows that settings are chosen on: without `test` rows, where there are others."""
    if catalog.split is None:
        return catalog
    rows = np.flatnonzero(catalog.split != "test")
    return catalog.select(rows) if len(rows) else catalog


def report(
    model: BasePredictor, catalog: Catalog, run: Path, *, baseline: bool = True, progress: Progress = SILENT
) -> tuple[BasePredictor, Evaluation | None]:
    """Evaluate a newly trained model on the `test` rows; write `run/report/` and the metrics into the bundle.

    Nothing is evaluated where no row is marked `test`, because accuracy on training rows is too high.

    Args:
        model: The model.
        catalog: The catalog it was trained on.
        run: The run folder.
        baseline: Compare with a linear SVM.
        progress: Reports progress.

    Returns:
        The model, saved again with the metrics, and the evaluation or None.
    """
    if catalog.split is None or "test" not in set(catalog.split):
        progress.say("no row is marked `test` in a split column: nothing was evaluated")
        return model, None
    found = evaluate(model, catalog, baseline=catalog if baseline else None, progress=progress)
    found.write(run / "report")
    overall = found.model.overall
    metrics = {
        "full-path accuracy": overall.accuracy.value,
        "macro-F1": overall.macro_f1,
        "top-5": overall.top5,
    }
    metrics |= {f"level {level.level} accuracy": level.accuracy for level in found.model.levels}
    evaluated_on = f"{found.rows.evaluated:,} `test` rows of the catalog"
    results = {**model.results, "metrics": metrics, "evaluated_on": evaluated_on}
    return dataclasses.replace(model, results=results).save(run / "model"), found
