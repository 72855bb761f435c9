"""`aisle calibrate`: what may this model decide by itself, and how sure is that?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console
from aisle.errors import AisleError

if TYPE_CHECKING:
    from rich.table import Table

    from aisle.guarantee import Policy, Promise
    from aisle.inference.recalibrate import Recalibrated

Never = Annotated[
    list[str] | None,
    typer.Option("--never", metavar="ID", help="Nothing at or below this category is decided. Repeatable."),
]
Cost = Annotated[
    list[str] | None,
    typer.Option(
        "--cost", metavar="ID=COST", help="What a mistake there costs; an ordinary one costs 1. Repeatable."
    ),
]
Branch = Annotated[
    list[str] | None,
    typer.Option("--branch", metavar="ID=PRECISION", help="Another precision for a category. Repeatable."),
]
Level = Annotated[
    list[str] | None,
    typer.Option("--level", metavar="LEVEL=PRECISION", help="Another for paths that end there. Repeatable."),
]


def calibrate(
    run: Annotated[Path, typer.Argument(help="A run's folder, or the model in it.")],
    source: flags.Source,
    precision: Annotated[float, typer.Option(help="The least share of decisions that must be right.")] = 0.95,
    delta: Annotated[float, typer.Option(help="The chance that the promise is broken.")] = 0.05,
    never: Never = None,
    cost: Cost = None,
    branch: Branch = None,
    level: Level = None,
    out: Annotated[Path | None, typer.Option(help="Write the model here (default: in place).")] = None,
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
    """Fit what a model promises on labelled rows of your own; those it was trained on are left out."""
    from aisle import workflow
    from aisle.evaluation.drift import keep
    from aisle.guarantee import Settings
    from aisle.inference.known_columns import check_columns
    from aisle.inference.recalibrate import recalibrate

    levels = {int(k): v for k, v in numbers("--level", level, whole_keys=True).items()}
    settings = Settings(
        precision, delta, tuple(never or ()), numbers("--cost", cost), numbers("--branch", branch), levels
    )
    model = workflow.load(run, trust_code=trust_code)
    settings.check(model.taxonomy)
    catalog = flags.open_catalog(
        source,
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
    check_columns(model, catalog)
    found = recalibrate(model, catalog, settings)
    folder = out or (run / "model" if (run / "model").is_dir() else run)
    saved = found.predictor.save(folder)
    keep(saved, catalog, folder.parent)  # what `aisle drift` compares with
    if as_json:
        console.print_json(
            {
                "model": str(folder),
                "model_id": saved.model_id,
                "rows": {k: v for k, v in found._asdict().items() if k != "predictor"},
                "settings": settings.to_dict(),
                "promises": [p._asdict() for p in found.predictor.policy.promises],
            }
        )
        return
    tell(found, quiet)
    console.out.print(f"model   {folder}", markup=False)


def numbers(flag: str, given: list[str] | None, whole_keys: bool = False) -> dict[str, float]:
    """`["A > b=5"]` -> `{"A > b": 5.0}`.

    Raises:
        AisleError: not NAME=NUMBER.
    """
    found = {}
    for text in given or []:
        name, _, value = text.rpartition("=")
        try:
            found[name if not whole_keys else str(int(name))] = float(value)
        except ValueError:
            name, such = ("LEVEL", "1=0.9") if whole_keys else ("ID", "'Shoes=0.9'")
            raise AisleError(f"{flag} {text!r}: write {name}=NUMBER, such as {flag} {such}") from None
        if not name:
            raise AisleError(f"{flag} {text!r}: write ID=NUMBER; the category's id is missing")
    return found


def tell(found: "Recalibrated", quiet: bool = False) -> None:
    """What the rows were used for, and what is promised now, for a person."""
    policy = found.predictor.policy
    console.say(f"calibrated on {found.calibration:,} rows, thresholds tested on {found.thresholds:,}", quiet)
    if found.seen:
        console.say(f"left out {found.seen:,} rows that the model was trained on, or near-duplicates", quiet)
    if found.unlabelled:
        console.say(f"left out {found.unlabelled:,} rows without a usable category", quiet)
    rows = found.calibration + found.thresholds
    whole = rows / max(found.thresholds, 1)  # rows in a file, for each that thresholds are tested on
    console.out.print(promised(policy, found.thresholds, whole))
    refused = [p for p in policy.promises if not p.branch and not p.holds]
    for promise in refused:
        console.out.print(_missing(promise, rows, whole), markup=False)


def promised(policy: "Policy", rows: int, whole: float = 1.0) -> "Table":
    """A table: each kind of answer together, then each top category alone. rows: that thresholds were
    tested on, of `whole` times as many."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True, overflow="ellipsis")
    for name in ("answered", "", "wrong", "promised", "needs rows"):
        table.add_column(name, justify="right", no_wrap=True)
    for promise in policy.promises:
        wrong = f"{promise.errors / promise.rows:.1%}" if promise.rows else "–"
        shown = f"{promise.precision:.1%}" if promise.holds else "no"
        needed = (
            "" if promise.holds else "–" if promise.needed is None else f"~{_about(promise.needed * whole):,}"
        )
        share = "" if promise.branch else f"{promise.rows / max(rows, 1):.0%}"
        style = "" if promise.branch else "bold"
        several = len({p.precision for p in policy.promises if p.verdict == promise.verdict}) > 1
        table.add_row(_name(promise, several), f"{promise.rows:,}", share, wrong, shown, needed, style=style)
    return table


def _name(promise: "Promise", several: bool = False) -> str:
    """several: answers of this kind are asked for at more than one precision."""
    if promise.branch:
        return f"  {promise.branch}"
    kind = "full paths" if promise.verdict == "accept" else "branches"
    kind = f"{kind}, ending at level {promise.level}" if promise.level else kind
    return f"{kind} asked for at {promise.precision:.1%}" if several else kind


def _missing(promise: "Promise", rows: int, whole: float) -> str:
    asked = f"{promise.precision:.1%} of {_name(promise)}"
    if promise.needed is None:
        return f"{asked} cannot be promised: at no confidence is the model right that often; ask for less"
    return (
        f"{asked} cannot be promised yet: it takes about {_about(promise.needed * whole):,} labelled rows "
        f"that training has not seen; here are {rows:,}"
    )


def _about(rows: float) -> int:
    """Two figures are all that such a number is worth; rounded up."""
    from math import ceil, floor, log10

    step = 10 ** max(floor(log10(max(rows, 1))) - 1, 0)
    return ceil(rows / step) * step
