"""`aisle ensemble`: several models as one."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console
from aisle.errors import AisleError

if TYPE_CHECKING:
    from aisle.inference.ensemble import Ensemble


class EnsembleError(AisleError):
    """An ensemble is asked for that cannot be."""


def ensemble(
    runs: Annotated[list[Path], typer.Argument(help="Runs' folders, trained on one catalogue.")],
    out: Annotated[Path, typer.Option(help="Where the ensemble goes: a folder that every command takes.")],
    how: Annotated[
        str, typer.Option(help="average: the mean of probabilities; stack: LightGBM on them.")
    ] = "average",
    on: Annotated[
        Path | None,
        typer.Option(
            help="The catalogue they learned from. stack trains each again in folds of it; rows that no "
            "model saw set an average's weights and the promise."
        ),
    ] = None,
    weights: Annotated[str | None, typer.Option(help="What each counts in an average: 2,1,1.")] = None,
    folds: Annotated[int, typer.Option(help="Parts that take turns being answered, for stack.")] = 5,
    precision: Annotated[float, typer.Option(help="The least share of decisions that must be right.")] = 0.95,
    trust_code: console.TrustCode = False,
    taxonomy: flags.TaxonomyFlag = None,
    column: flags.ColumnFlag = None,
    columns: flags.ColumnsFlag = None,
    image_root: flags.ImageRootFlag = None,
    max_expanded: flags.MaxExpandedFlag = None,
    delimiter: flags.DelimiterFlag = None,
    encoding: flags.EncodingFlag = None,
    date_format: flags.DateFormatFlag = None,
    quiet: console.Quiet = False,
    as_json: console.AsJson = False,
) -> None:
    """Average some models, or stack a boosted one on them; `evaluate` and `classify` take the result."""
    from aisle.cli.interrupts import continue_with, same_command

    continue_with(same_command)  # also while libraries are imported
    from aisle import workflow
    from aisle.inference.ensemble import Ensemble
    from aisle.inference.folder import check_vacant
    from aisle.inference.known_columns import check_columns
    from aisle.training import stacking

    if how not in ("average", "stack"):
        raise EnsembleError(f"--how {how!r} is neither average nor stack")
    if how == "stack" and on is None:
        raise EnsembleError("--how stack learns from labelled rows: give --on CATALOGUE")
    share = _numbers(weights)
    check_vacant(out)
    progress = console.progress(quiet or as_json)
    members = [_member(workflow.load(run, trust_code=trust_code), run) for run in runs]
    names = _names(runs)
    catalog: Any = None
    if on is not None:
        given = {"taxonomy": taxonomy, "column": column, "columns": columns, "image_root": image_root}
        given |= {"max_expanded": max_expanded, "date_format": date_format, "like": members[0]}
        whole = flags.open_catalog(on, **given, delimiter=delimiter, encoding=encoding)
        for member in members:
            check_columns(member, whole)
        catalog = workflow.part(whole, "train")
    if how == "stack":
        recipes = [stacking.recipe_of(run) for run in runs]
        keep = out.parent / f".{out.name}.folds"
        options: Any = {"count": folds, "keep": keep, "trust_code": trust_code, "progress": progress}
        made = stacking.stacked(members, names, recipes, catalog, **options)
    elif share is not None or catalog is None:
        made = Ensemble.of(members, names, share)
    else:
        made = stacking.weighted(members, names, catalog)
    if catalog is not None:
        made = stacking.promised(made, catalog, precision)
    made = made.save(out)
    if how == "stack":
        shutil.rmtree(keep, ignore_errors=True)
    if as_json:
        data = {"model_id": made.model_id, "members": list(made.names), "weights": made.weights.tolist()}
        console.print_json(data | {"results": dict(made.results), "ensemble": str(out)})
        return
    describe(made)
    console.places(ensemble=out, next=console.command("evaluate", out, on or "FILE.csv"))


def describe(made: "Ensemble") -> None:
    """Its members, what each counts, and what was measured on the way."""
    told = made.results.get("out_of_fold", {})
    counts = made.results.get("importances") or dict(zip(made.names, made.weights.tolist(), strict=True))
    for name, value in counts.items():
        right = f", {told[name]:.1%} right out of fold" if name in told else ""
        console.out.print(f"{value:>6.1%}  {name}{right}", markup=False)
    if "mean" in told:
        console.out.print(f"their mean: {told['mean']:.1%} right out of fold")
    if not made.policy.decides(made.taxonomy):
        console.say("it promises nothing yet: give --on with rows that no model saw, or `aisle calibrate`")


def show(model: Any, as_json: bool) -> None:
    """What `aisle info` says of an ensemble."""
    if as_json:
        members = [member.model_id for member in model.members]
        found = {"model_id": model.model_id, "members": members, "weights": model.weights.tolist()}
        console.print_json(found | {"results": dict(model.results)})
        return
    console.out.print(f"ensemble {model.model_id} of {len(model.members)} models")
    describe(model)


def _member(model: Any, run: Path) -> Any:
    if not hasattr(model, "model"):
        raise EnsembleError(f"{run} is an ensemble itself; name its members")
    return model


def _names(runs: list[Path]) -> list[str]:
    """Folders' names, told apart where they are alike."""
    names = [run.resolve().name.replace(":", "-") for run in runs]
    return [name if names.count(name) == 1 else f"{name} {i}" for i, name in enumerate(names, 1)]


def _numbers(text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise EnsembleError(f"--weights {text!r} is no list of numbers such as 2,1,1") from None
