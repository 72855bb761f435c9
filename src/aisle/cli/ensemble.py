"""`aisle ensemble`: combines several models into one."""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.info import print_ensemble
from aisle.cli.options import AsJson, LabelledCatalogOptions, Precision, Quiet, TrustCode
from aisle.errors import AisleError


@command("ensemble", "Average several models, or stack a model on them.", section="Training", resumes=True)
def ensemble(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders, trained on one catalog.")],
    out: Annotated[Path, typer.Option(help="Folder of the ensemble; every command accepts it as a model.")],
    options: LabelledCatalogOptions,
    method: Annotated[
        str,
        typer.Option(
            help="average: mean of probabilities; stack: LightGBM trained on out-of-fold predictions."
        ),
    ] = "average",
    on: Annotated[
        Path | None,
        typer.Option(
            metavar="SOURCE",
            help="The catalog that the models were trained on. stack trains each again on folds of "
            "it; rows that no model saw set the weights of an average and the guarantee.",
        ),
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Weights of an average: 2,1,1.")] = None,
    folds: Annotated[int, typer.Option(help="Number of cross-validation folds, for stack.")] = 5,
    precision: Precision = 0.95,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Average models, or stack a boosted-tree model on them. `evaluate` and `classify` accept the result."""
    from aisle import workflow
    from aisle.inference.ensemble import Ensemble
    from aisle.inference.folder import check_vacant
    from aisle.inference.known_columns import check_columns
    from aisle.training import stacking

    if method not in ("average", "stack"):
        raise AisleError(f"--method {method!r} is neither average nor stack")
    if method == "stack" and on is None:
        raise AisleError("--method stack needs labelled rows: give --on CATALOG")
    share = _numbers(weights)
    check_vacant(out)
    progress = console.progress(quiet or as_json)
    members = [_member(workflow.load(run, trust_code=trust_code), run) for run in runs]
    names = _names(runs)
    catalog: Any = None
    if on is not None:
        catalog_ = options.read(on, like=members[0])
        for member in members:
            check_columns(member, catalog_)
        catalog = workflow.part(catalog_, "train")
    folds_folder = out.parent / f".{out.name}.folds"
    if method == "stack":
        recipes = [stacking.recipe_of(run) for run in runs]
        members_ = stacking.fit_stacked_ensemble(
            members, names, recipes, catalog, n_folds=folds, cache=folds_folder, trust_code=trust_code,
            progress=progress,
        )  # fmt: skip
    elif share is not None or catalog is None:
        members_ = Ensemble.of(members, names, share)
    else:
        members_ = stacking.fit_weighted_ensemble(members, names, catalog)
    if catalog is not None:
        members_ = stacking.fit_guarantee(members_, catalog, precision)
    members_ = members_.save(out)
    if method == "stack":
        shutil.rmtree(folds_folder, ignore_errors=True)
    if as_json:
        data = {
            "model_id": members_.model_id,
            "members": list(members_.names),
            "weights": members_.weights.tolist(),
        }
        console.print_json(data | {"results": dict(members_.results), "ensemble": str(out)})
        return
    print_ensemble(members_, out)
    console.print_paths(ensemble=out, next=console.command("evaluate", out, on or "FILE.csv"))


def _member(model: Any, run: Path) -> Any:
    if getattr(model, "runtime", "") == "migrated":
        raise AisleError(
            f"{run} was migrated from another tree, and cannot be in an ensemble: "
            "migrate the ensemble of the earlier models instead"
        )
    if not hasattr(model, "model"):
        raise AisleError(f"{run} is an ensemble itself; name its members")
    return model


def _names(runs: list[Path]) -> list[str]:
    names = [run.resolve().name.replace(":", "-") for run in runs]
    return [name if names.count(name) == 1 else f"{name} {i}" for i, name in enumerate(names, 1)]


def _numbers(text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise AisleError(f"--weights {text!r} is not a list of numbers such as 2,1,1") from None
