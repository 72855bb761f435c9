"""`aisle evaluate`: how good is this model on these products?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console
from aisle.errors import CatalogError, did_you_mean

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.evaluation import Evaluation


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run's folder, or the model in it.")],
    source: flags.Source,
    split: Annotated[
        str | None, typer.Option(help="Judge these rows of the split column (default: test, else all rows).")
    ] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Fit a linear SVM on the training rows and judge it beside.")
    ] = False,
    train: Annotated[
        Path | None, typer.Option(help="Training rows, where the file has no `train` split.")
    ] = None,
    perturb: Annotated[
        bool,
        typer.Option(
            "--perturb", help="Also change colour, size, word order, case, letters and crops: what flips?"
        ),
    ] = False,
    beside: Annotated[
        Path | None,
        typer.Option(help="An earlier run, or its report.json, to put beside."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for report.html and report.json (default: report/ in the run)."),
    ] = None,
    trust_code: console.TrustCode = False,
    device: console.Device = "auto",
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
    """Judge a model on labelled products, as numbers and as one page with pictures."""
    from aisle import evaluation, workflow
    from aisle.cli.summary import tell
    from aisle.models.features import FeatureStore

    def read(file: Path) -> "Catalog":
        return flags.open_catalog(
            file,
            taxonomy=taxonomy,
            column=column,
            columns=columns,
            image_root=image_root,
            max_expanded=max_expanded,
            delimiter=delimiter,
            encoding=encoding,
            date_format=date_format,
            like=model,
        )

    progress = console.progress(quiet or as_json)
    earlier = None if beside is None else evaluation.earlier(beside)  # before a long judging, for nothing
    model = workflow.load(run, trust_code=trust_code, device=device)
    catalog = read(source)
    tell(catalog, progress, model)
    known = training_rows(read(train) if train else catalog, train)
    if baseline and known is None:
        raise CatalogError(
            f"--baseline has nothing to learn from: {source} has no `train` split. Give --train FILE"
        )
    found = evaluation.evaluate(
        model.with_store(model.store or FeatureStore()),  # each view is encoded once, not once a view removed
        rows_to_judge(catalog, split),
        train_counts=None if known is None else evaluation.label_counts(known),
        baseline=known if baseline else None,
        perturb=perturb,
        progress=progress,
    )
    if earlier is not None:
        found = evaluation.put_beside(found, earlier)
    page = found.write(out or default_folder(run))
    if as_json:
        console.print_json(found.to_dict())
        return
    summary(found)
    console.out.print(f"report  {page}", markup=False)


def rows_to_judge(catalog: "Catalog", split: str | None) -> "Catalog":
    """The rows of one split; without a name those of `test`, or all where there are none.

    Raises:
        CatalogError: no row is of that split.
    """
    from aisle.data.split_names import parse_split
    from aisle.workflow import part

    if split is None:
        return part(catalog, "test")
    given = [] if catalog.split is None else sorted({str(s) for s in catalog.split if s})
    split = parse_split(split) or split
    if split not in given:
        there = f"its splits are {', '.join(given)}." if given else "it has no split column."
        raise CatalogError(f"no row is of split {split!r}: {there}{did_you_mean(split, given)}")
    return part(catalog, split)


def training_rows(catalog: "Catalog", named: Path | None) -> "Catalog | None":
    """What the baseline learns from: the `train` rows, or all of a file named for that; else None."""
    from aisle.workflow import part

    has_train = catalog.split is not None and "train" in set(catalog.split)
    return part(catalog, "train") if has_train or named else None


def default_folder(run: Path) -> Path:
    """Beside the model, never in it: a bundle's files are sealed."""
    return run / "report" if (run / "model").is_dir() else run.parent / f"{run.name}-report"


def summary(found: "Evaluation") -> None:
    """The numbers that matter, on standard output."""
    from rich.table import Table

    from aisle.evaluation.numbers import decimal, percent

    overall, rival = found.model.overall, found.baseline
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(f"{found.rows.judged:,} products")
    for name in ("accuracy", "macro-F1", "weighted F1", "top 5", "ECE"):
        table.add_column(name, justify="right")

    def row(name: str, accuracy: float, scores: Any, style: str = "") -> None:
        numbers = (
            decimal(scores.macro_f1),
            decimal(scores.weighted_f1),
            percent(scores.top5),
            decimal(scores.ece),
        )
        table.add_row(name, percent(accuracy), *numbers, style=style)

    row("full path", overall.accuracy.value, overall, "bold")
    for level in found.model.levels:
        row(f"level {level.level}", level.accuracy, level)
    if rival:
        row(f"{rival.name}", rival.summary.overall.accuracy.value, rival.summary.overall)
        row("  level 1", rival.summary.levels[0].accuracy, rival.summary.levels[0])
    console.out.print(table)
    for line in [*compared(found), *remarks(found)]:
        console.out.print(line, markup=False)


def compared(found: "Evaluation") -> list[str]:
    """The model against the baseline, with 95 % limits."""
    from aisle.evaluation.numbers import points, step

    if found.baseline is None:
        return []
    names = {"accuracy": ("full path", points), "macro_f1": ("macro-F1", step), "level1": ("level 1", points)}
    parts = []
    for metric, x in found.baseline.differences.items():
        name, shown = names[metric]
        parts.append(f"{name} {shown(x.value)} ({shown(x.low)} to {shown(x.high)})")
    return [f"against it: {', '.join(parts)}"]


def moved(found: "Evaluation") -> list[str]:
    """What changed since an earlier run, and which changes flip answers."""
    from aisle.evaluation.numbers import percent, points

    lines = []
    if found.beside:
        then, x = found.beside, found.beside.accuracy
        told = f" ({points(x.low)} to {points(x.high)}, paired)" if x else " (other products were judged)"
        change = next(c for c in then.changes if c.name == "accuracy")
        step = points((change.now or 0.0) - (change.before or 0.0))
        lines.append(f"beside {then.model_id}: accuracy {step} points{told}")
    if found.perturbed:
        flips = ", ".join(f"{p.kind} {percent(p.flipped.value)}" for p in found.perturbed)
        lines.append(f"answers that a change flips: {flips}")
    return lines


def remarks(found: "Evaluation") -> list[str]:
    """One line each: near misses, the long tail, views, decisions, what was left out."""
    from aisle.evaluation.numbers import decimal, percent, points

    overall, rows = found.model.overall, found.rows
    contest = "" if overall.contest is None else f", contest score {decimal(overall.contest)} of 1.225"
    lines = [*moved(found), f"hierarchical F1 {decimal(overall.hierarchical_f1)}{contest}"]
    if found.model.bands:
        bands = ", ".join(f"{b.name}: {percent(b.accuracy)}" for b in found.model.bands)
        lines.append(f"by training products of a label: {bands}")
    if found.views:
        views = ", ".join(f"{v.view} {points(v.change.value)}" for v in found.views)
        lines.append(f"without a view, in points: {views}")
    if found.decisions:
        accept, partial = found.decisions.accept, found.decisions.partial
        for name, x in (("accepted", accept), ("partial", partial)):
            if x.precision:
                promise = f", {percent(x.promised, 0)} promised" if x.promised else ""
                lines.append(
                    f"{name}: {percent(x.coverage)} of products, {percent(x.precision.value)} right{promise}"
                )
        if not accept.count and not partial.count:
            lines.append(
                "decisions: everything is left for review (`aisle calibrate` says what a promise needs)"
            )
    if rows.branch:
        lines.append(
            f"{rows.branch:,} labels are known only to a branch; to the letter {percent(overall.strict)}"
        )
    if rows.outside:
        lines.append(f"{rows.outside:,} labels are not in the model's tree: at best {percent(rows.ceiling)}")
    if rows.trained_on:
        lines.append(
            f"{rows.trained_on:,} of these products say the same as rows it was trained on: they flatter it"
        )
    if rows.unlabelled or rows.faulty:
        lines.append(f"left out: {rows.unlabelled:,} products without a label, {rows.faulty:,} faulty rows")
    return lines
