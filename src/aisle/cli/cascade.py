"""`aisle cascade`: cheap models for what they are sure of, a full one for the rest."""

from pathlib import Path
from typing import Annotated, Any

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console


def cascade(
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Two models or more, cheapest first, such as a run of `fast` and one of `balanced`: each is "
            "asked about what those before it are not sure of."
        ),
    ],
    source: flags.Source,
    out: Annotated[Path, typer.Option(help="Where the cascade goes: a folder that every command takes.")],
    cost: Annotated[
        float, typer.Option(help="Points of accuracy that it may lose at most (paired interval).")
    ] = 0.5,
    precision: Annotated[float, typer.Option(help="The least share of decisions that must be right.")] = 0.95,
    delta: Annotated[float, typer.Option(help="The chance that the promise is broken.")] = 0.05,
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
    """Let cheap models answer what they are sure of; how sure is chosen on labelled rows new to all."""
    from aisle import workflow
    from aisle.cli.export import judged_on
    from aisle.guarantee import Settings
    from aisle.inference.fit_cascade import cascade_of
    from aisle.inference.folder import check_vacant
    from aisle.inference.known_columns import check_columns

    if len(models) < 2:
        raise typer.BadParameter("a cascade needs two models or more, and then a file of labelled products")
    check_vacant(out)
    progress = console.progress(quiet or as_json)
    stages = [workflow.load(run, trust_code=trust_code).with_store(None) for run in models]
    given: Any = {"taxonomy": taxonomy, "column": column, "columns": columns, "image_root": image_root}
    given |= {"max_expanded": max_expanded, "date_format": date_format, "like": stages[-1]}
    catalog = flags.open_catalog(source, **given, delimiter=delimiter, encoding=encoding)
    for stage in stages:
        check_columns(stage, catalog)
    names = [run.resolve().name for run in models]
    names = names if len({*names}) == len(names) else [str(run) for run in models]
    settings = Settings(precision, delta)
    found = cascade_of(stages, names, judged_on(catalog), settings, cost, progress)
    made = found.save(out)
    if as_json:
        console.print_json({"model": str(out), "model_id": made.model_id, **made.results["cascade"]})
        return
    describe(made)
    console.places(cascade=out, next=console.command("classify", out, "NEW.csv", "--out", "predictions.csv"))


def describe(model: Any) -> None:
    """Each stage's share and cost, and what the cascade loses."""
    from aisle.inference.holdout import Cost

    said = model.results["cascade"]
    width = max(len(stage["name"]) for stage in said["stages"])
    for stage in said["stages"]:
        right, cost = said["accuracy"][stage["name"]], stage["milliseconds"]
        console.out.print(
            f"{stage['name']:<{width}}  answers {stage['share']:>4.0%}, {cost:>8.2f} ms of a core "
            f"a product; by itself {right:.1%} right",
            markup=False,
        )
    console.out.print(
        f"together {said['milliseconds']:.2f} ms a product, {said['accuracy']['together']:.1%} right, which "
        f"costs {Cost(**said['cost'])}"
    )
    if not model.policy.rules:
        console.say("it promises nothing yet: `aisle calibrate` it on labelled rows that no model saw")


def show(model: Any, as_json: bool) -> None:
    """What `aisle info` says of a cascade."""
    if as_json:
        found = {"model_id": model.model_id, "stages": model.stages, "results": dict(model.results)}
        console.print_json(found)
        return
    stages = " and ".join(stage.model_id for stage in model.models)
    console.out.print(f"cascade {model.model_id} of {stages}")
    describe(model)
