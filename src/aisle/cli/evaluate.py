"""`aisle evaluate`: measures a model on labelled products."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.atomic_files import wrap_write_errors
from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.loading import load_cached
from aisle.cli.options import AsJson, Device, LabelledCatalogOptions, Quiet, Run, Source, TrustCode
from aisle.errors import CatalogError, did_you_mean

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.evaluation import Evaluation
    from aisle.evaluation.scores import RuleDecisions


@command("evaluate", "Evaluate a model on labelled products.", section="Evaluation")
def evaluate(
    run: Run,
    source: Source,
    options: LabelledCatalogOptions,
    split: Annotated[
        str | None, typer.Option(help="Evaluate the rows of this split (default: test, else all rows).")
    ] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Compare with a linear SVM trained on the training rows.")
    ] = False,
    train: Annotated[
        Path | None, typer.Option(help="A file of training rows, where the catalog has no `train` split.")
    ] = None,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Also measure how often predictions change when colour, size, word order, case, letters or "
            "crops do.",
        ),
    ] = False,
    compare_with: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="An earlier run, or its report.json, to compare with."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for report.html and report.json (default: report/ in the run)."),
    ] = None,
    trust_code: TrustCode = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate a model on labelled products; print the metrics and write a report with images."""
    from aisle import evaluation
    from aisle.cli.summary import print_catalog_summary

    progress = console.progress(quiet or as_json)
    earlier = None if compare_with is None else evaluation.load_report(compare_with)  # before long work
    model = load_cached(run, trust_code, device)  # each view is encoded once
    catalog = options.read(source, like=model)
    print_catalog_summary(catalog, progress, model)
    known = training_rows(options.read(train, like=model) if train else catalog, train)
    if baseline and known is None:
        raise CatalogError(
            f"--baseline needs training rows: {source} has no `train` split. Give --train FILE"
        )
    result = evaluation.evaluate(
        model,
        rows_to_evaluate(catalog, split),
        train_counts=None if known is None else evaluation.label_counts(known),
        baseline=known if baseline else None,
        measure_robustness=robustness,
        progress=progress,
    )
    if earlier is not None:
        result = evaluation.compare_with_report(result, earlier)
    folder = out or default_folder(run)
    with wrap_write_errors(folder):
        page = result.write(folder)
    if as_json:
        console.print_json(result.to_dict())
        return
    print_evaluation(result)
    console.out.print(f"report  {page}", markup=False)


def rows_to_evaluate(catalog: "Catalog", split: str | None) -> "Catalog":
    """The rows of one split; by default those of `test`, or all where there are none.

    Raises:
        CatalogError: No row is of that split.
    """
    from aisle.data.split_names import parse_split
    from aisle.workflow import part

    if split is None:
        return part(catalog, "test")
    splits = [] if catalog.split is None else sorted({str(s) for s in catalog.split if s})
    split = parse_split(split) or split
    if split not in splits:
        available = f"its splits are {', '.join(splits)}." if splits else "it has no split column."
        raise CatalogError(f"no row is of split {split!r}: {available}{did_you_mean(split, splits)}")
    return part(catalog, split)


def training_rows(catalog: "Catalog", named: Path | None) -> "Catalog | None":
    """Training rows of the baseline: the `train` rows, or all of a file named for that; else None."""
    from aisle.workflow import part

    has_train = catalog.split is not None and "train" in set(catalog.split)
    return part(catalog, "train") if has_train or named else None


def default_folder(run: Path) -> Path:
    """The report's default folder, next to the model: a bundle lists its own files."""
    return run / "report" if (run / "model").is_dir() else run.parent / f"{run.name}-report"


def print_evaluation(result: "Evaluation") -> None:
    """Print the main metrics."""
    from rich.table import Table

    from aisle.evaluation.numbers import decimal, percent

    overall, baseline = result.model.overall, result.baseline
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(f"{result.rows.evaluated:,} products")
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
    for level in result.model.levels:
        row(f"level {level.level}", level.accuracy, level)
    if baseline:
        row(f"{baseline.name}", baseline.summary.overall.accuracy.value, baseline.summary.overall)
        row("  level 1", baseline.summary.levels[0].accuracy, baseline.summary.levels[0])
    console.out.print(table)
    for line in [*compared(result), *remarks(result)]:
        console.out.print(line, markup=False)


def compared(result: "Evaluation") -> list[str]:
    """Differences to the baseline, with 95 % confidence intervals."""
    from aisle.evaluation.numbers import points, step

    if result.baseline is None:
        return []
    names = {"accuracy": ("full path", points), "macro_f1": ("macro-F1", step), "level1": ("level 1", points)}
    parts = []
    for metric, x in result.baseline.differences.items():
        name, label = names[metric]
        parts.append(f"{name} {label(x.value)} ({label(x.low)} to {label(x.high)})")
    return [f"compared with it: {', '.join(parts)}"]


def moved(result: "Evaluation") -> list[str]:
    """Changes since an earlier run, and the robustness scores."""
    from aisle.evaluation.numbers import percent, points

    lines = []
    if result.comparison:
        earlier, x = result.comparison, result.comparison.accuracy
        note = f" ({points(x.low)} to {points(x.high)}, paired)" if x else " (other products were evaluated)"
        change = next(c for c in earlier.changes if c.name == "accuracy")
        step = points((change.now or 0.0) - (change.before or 0.0))
        lines.append(f"compared with {earlier.model_id}: accuracy {step} points{note}")
    if result.robustness:
        flips = ", ".join(f"{p.kind} {percent(p.flipped.value)}" for p in result.robustness)
        lines.append(f"predictions that change with: {flips}")
    return lines


def decided(found: "Evaluation") -> list[str]:
    """One line for each kind of decision of the model, and one for those of rules."""
    from aisle.evaluation.numbers import percent

    if found.decisions is None:
        return []
    lines = []
    accept, partial = found.decisions.accept, found.decisions.partial
    for name, x in (("full paths", accept), ("partial paths", partial)):
        if x.precision:
            guarantee = f", {percent(x.guaranteed, 0)} guaranteed" if x.guaranteed else ""
            lines.append(
                f"{name}: {percent(x.coverage)} of products, {percent(x.precision.value)} correct{guarantee}"
            )
    if not accept.count and not partial.count:
        advice = found.operating_curve.advice if found.operating_curve else ""
        every = "the model leaves every other" if found.decisions.by_rules else "every"
        left = "for review" if found.decisions.by_rules else "is left for review"
        lines.append(f"decisions: {every} product {left}{advice and f': {advice}'}")
    if found.decisions.by_rules:
        lines.append(ruled(found.decisions.by_rules))
    return lines


def ruled(found: "RuleDecisions") -> str:
    """The decisions of rules, which no guarantee covers."""
    from aisle.evaluation.numbers import percent

    right = found.decided.precision
    correct = f", {percent(right.value)} correct" if right else ""
    review = f"; {found.review.count:,} left for review" if found.review.count else ""
    count = f"{found.decided.count:,} ({percent(found.decided.coverage)} of products)"
    return f"decided by rules: {count}{correct}{review}; counted apart, no guarantee covers them"


def remarks(result: "Evaluation") -> list[str]:
    """One line each: hierarchical F1, rare categories, views, decisions, rows left out."""
    from aisle.evaluation.numbers import decimal, percent, points

    overall, rows = result.model.overall, result.rows
    contest = (
        "" if overall.contest_score is None else f", contest score {decimal(overall.contest_score)} of 1.225"
    )
    lines = [*moved(result), f"hierarchical F1 {decimal(overall.hierarchical_f1)}{contest}"]
    if result.model.bands:
        bands = ", ".join(f"{b.name}: {percent(b.accuracy)}" for b in result.model.bands)
        lines.append(f"accuracy by training products per category: {bands}")
    if result.views:
        views = ", ".join(f"{v.view} {points(v.change.value)}" for v in result.views)
        lines.append(f"accuracy without a view, in points: {views}")
    lines += decided(result)
    if rows.branch:
        exact = percent(overall.strict_accuracy)
        lines.append(f"{rows.branch:,} labels are inner categories; exact accuracy {exact}")
    if rows.outside:
        lines.append(
            f"{rows.outside:,} labels are not in the model's tree: accuracy is at most "
            f"{percent(rows.ceiling)}"
        )
    if rows.trained_on:
        lines.append(
            f"{rows.trained_on:,} of these products equal training rows, so the accuracy is too high"
        )
    if rows.unlabelled or rows.faulty:
        lines.append(f"left out: {rows.unlabelled:,} products without a label, {rows.faulty:,} faulty rows")
    return lines
