"""`aisle audit`: which labels of this catalogue are likely wrong?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console

if TYPE_CHECKING:
    from aisle.evaluation.audit import Audit

SHOWN = 8  # findings on the terminal


def audit(
    source: flags.Source,
    recipe: Annotated[
        str, typer.Option(help="The recipe of the models that judge (see `aisle recipes`), or a .toml file.")
    ] = "fast",
    folds: Annotated[int, typer.Option(help="Parts of the rows that take turns being judged.")] = 5,
    most: Annotated[int, typer.Option(min=1, help="Write at most so many findings.")] = 10_000,
    out: Annotated[
        Path, typer.Option(help="Folder for audit.html, audit.csv, audit.jsonl and audit.json.")
    ] = Path("audit"),
    corrected: Annotated[
        Path | None,
        typer.Option(help="Also write the catalogue with likely wrong labels replaced by the proposed ones."),
    ] = None,
    changes: console.Set = None,
    text_encoder: console.TextEncoder = None,
    image_encoder: console.ImageEncoder = None,
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
    """Rank labels by how likely they are wrong, with a better place and the evidence, as table and page.

    Every product is judged by a model that learned neither from it nor from a duplicate.
    """
    from aisle.cli.interrupts import continue_with, same_command

    continue_with(same_command)  # also while libraries are imported
    from aisle import workflow
    from aisle.cli.summary import tell
    from aisle.data.writing import check_ending
    from aisle.errors import AisleError
    from aisle.evaluation import audit as auditing
    from aisle.training.recipe import encoder_changes

    progress = console.progress(quiet or as_json)
    changes = [*(changes or ()), *encoder_changes(text_encoder, image_encoder)]
    resolved = workflow.resolve(recipe, changes)  # before a large file is read for nothing
    if out.exists() and not out.is_dir():
        raise AisleError(f"--out: {out} is a file; name a folder")
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
    )
    tell(catalog, progress)
    if corrected is not None:
        check_ending(corrected, catalog)
    found = auditing.audit(
        catalog, resolved, folds=folds, most=most, trust_code=trust_code, progress=progress
    )
    try:
        page = found.write(out)
    except OSError as error:
        raise AisleError(f"{out} cannot be written: {error.strerror or error}") from error
    if corrected is not None:
        auditing.write_corrected(catalog, found, corrected)
    if as_json:
        console.print_json(found.model_dump(mode="json"))
        return
    summary(found)
    console.places(report=page, table=out / "audit.csv", corrected=corrected)


def summary(found: "Audit") -> None:
    """The most suspicious labels, on standard output."""
    from rich.table import Table

    from aisle.evaluation.numbers import percent
    from aisle.taxonomy import format_path

    console.out.print(
        f"{found.likely:,} of {found.audited:,} labels are likely wrong "
        f"({found.siblings:,} of them belong in a sibling); estimated wrong: {percent(found.share)} of all",
        markup=False,
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("chance", justify="right")
    for name in ("id", "title", "labelled", "rather"):
        table.add_column(name)
    for finding in found.findings[:SHOWN]:
        cells = (finding.id, finding.title[:40], format_path(finding.present), format_path(finding.proposed))
        table.add_row(percent(finding.chance, 0), *(cell.replace("[", "\\[") for cell in cells))
    console.out.print(table)
