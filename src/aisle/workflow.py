"""The few verbs of the Python API: read, train, load, evaluate."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.errors import BundleError, RecipeError
from aisle.progress import SILENT, Progress

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.evaluation import Evaluation
    from aisle.inference.predictor import Predictor
    from aisle.training.recipe import AnyRecipe


def read(source: Any, **options: Any) -> Catalog:
    """Read a catalogue: a file, a folder, several files, a data frame, or rows. Options: see
    `aisle.data.read`.

    Raises:
        AisleError: the source cannot be read at all; bad rows become `catalog.problems` instead.
    """
    from aisle import data

    return data.read(source, **options)


def train(
    catalog: Catalog,
    recipe: str | Path | Mapping[str, Any] | AnyRecipe | None = None,
    *,
    changes: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    start: str | Path | Predictor | None = None,
    device: str = "auto",
    track: Sequence[str] | None = None,
    trust_code: bool = False,
    progress: Progress = SILENT,
) -> Predictor:
    """Learn the shop's tree from its labelled rows.

    Where the catalogue has a `split` column, only its `train` rows are learned from. recipe: `fast` unless
    another is named; of a run that is resumed, its own. changes: such as `"stages.0.epochs=5"`. out: a run's
    folder, which keeps the bundle (`out/model`), checkpoints and metrics; with `resume`, an interrupted run
    there is continued. start: a run, a bundle or a predictor to go on from, with new rows and
    new categories, by the recipe of its run, or another with the same network. device: cpu, cuda, mps or
    auto. track: trackers of metrics beside the folder's metrics.csv: tensorboard, mlflow, wandb (TensorBoard,
    where it is installed).

    Raises:
        AisleError: nothing to learn from, a bad recipe, missing pretrained weights, a folder in use.
    """
    from aisle.evaluation.drift import keep
    from aisle.training import processes
    from aisle.training.fit import fit
    from aisle.training.run import Run

    run = Run(Path(out), track, progress) if out is not None else None
    if run is not None:
        run.check(resume)
    place = start if isinstance(start, str | Path) else None
    resolved = resolve(recipe, changes, out if resume else None, place)
    earlier = load(start, trust_code=trust_code) if isinstance(start, str | Path) else start
    rows = part(catalog, "train")
    where = _device(resolved, device)
    try:
        processes.begin(where)
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
                keep(predictor, rows, run.folder, progress)
            run.end()
    except Exception:
        if run is not None:
            run.withdraw()
        raise
    finally:
        if run is not None:
            run.trackers.finish()
            run.release()
        processes.end()
    return predictor


def _device(recipe: AnyRecipe, name: str) -> Any:
    """Where a network learns; None for a linear model, which learns on the CPU.

    Raises:
        DeviceError: there is no such device here, it cannot learn in the recipe's precision, or the recipe is
            linear and it is not the CPU.
    """
    from aisle.models.devices import DEVICES, DeviceError, device_of, precision_of

    if recipe.family != "linear":
        where = device_of(name)
        precision_of(recipe.precision, where)
        return where
    if name in DEVICES and name not in ("auto", "cpu"):
        raise DeviceError(f"recipe {recipe.name!r} is linear and learns on the CPU: leave --device out")
    return None if name in DEVICES else device_of(name)


def resolve(
    recipe: str | Path | Mapping[str, Any] | AnyRecipe | None,
    changes: Sequence[str] = (),
    resumed: str | Path | None = None,
    start: str | Path | None = None,
) -> AnyRecipe:
    """The recipe that is meant; where none is named, that of the run that is resumed or started from, else
    `fast`.

    Raises:
        RecipeError: as `aisle.training.recipe.load_recipe`; or the model to start from lies in no run.
        BundleError: there is no such folder to start from.
    """
    from aisle.training.recipe import left_out, load_recipe

    if recipe is not None:
        return load_recipe(recipe, changes)
    # A run killed while it was set up may have no more than half a recipe, and no catalog.json.
    homes = [Path(resumed)] if resumed is not None else []
    homes += [Path(start), Path(start).parent] if start is not None else []  # a run, or the bundle in it
    kept = ("catalog.json", "recipe.toml")  # a bundle has the former alone
    own = next((home / kept[1] for home in homes if all((home / name).exists() for name in kept)), None)
    if own is not None:
        return load_recipe(own, [change for change in changes if not left_out(change, own)])
    if start is not None:
        if not Path(start).exists():
            raise BundleError(f"there is no folder {start}")
        raise RecipeError(f"{start} is in no run that keeps its recipe: name the recipe")
    return load_recipe("fast", changes)


def load(folder: str | Path, *, trust_code: bool = False, device: str = "cpu") -> Predictor:
    """A saved model: a bundle, the run that holds one, an exported model or an ensemble. device: where a
    network answers: cpu, cuda, mps or auto.

    Raises:
        DeviceError: there is no such device here.
        BundleError: missing, truncated, edited, or from a newer version.
    """
    from aisle.inference.loading import open_model

    return open_model(Path(folder), trust_code, device)


def evaluate(
    model: Predictor, catalog: Catalog, *, baseline: Catalog | None = None, progress: Progress = SILENT
) -> Evaluation:
    """Judge a model on labelled rows: `catalog`'s `test` rows where it has a `split` column, else all.

    baseline: rows to fit a linear SVM on TF-IDF on, to be judged beside it (its `train` rows where it
    has a `split` column). `aisle.read(file, like=model)` reads a file by the columns of the training catalog.

    Raises:
        CatalogError: no row has anything that the model reads.
    """
    from aisle import evaluation
    from aisle.inference.known_columns import check_columns

    against = part(baseline, "train") if baseline is not None else None
    check_columns(model, catalog)
    return evaluation.evaluate(model, part(catalog, "test"), baseline=against, progress=progress)


def part(catalog: Catalog, name: str) -> Catalog:
    """The rows whose `split` column says `name`; all of them where there is no such column or value, but
    never `test` rows to train on."""
    if catalog.split is None:
        return catalog
    if name in set(catalog.split):
        return catalog.select(catalog.split == name)
    return catalog.select(catalog.split != "test") if name == "train" else catalog


def report(
    model: Predictor, catalog: Catalog, run: Path, *, baseline: bool = True, progress: Progress = SILENT
) -> tuple[Predictor, Evaluation | None]:
    """Judge a model just trained on the `test` rows; write `run/report/` and put what was measured
    into the bundle. Nothing is evaluated where no row is marked `test`: the rows it was trained on would
    flatter it."""
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
    judged = f"{found.rows.judged:,} `test` rows of the shop's catalogue"
    results = {**model.results, "metrics": metrics, "evaluated_on": judged}
    return dataclasses.replace(model, results=results).save(run / "model"), found
