"""`aisle audit`: finds labels of a catalog that are likely wrong."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.atomic_files import wrap_write_errors
from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson, Folds, LabelledCatalogOptions, Quiet, RecipeOptions, Source, TrustCode

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.evaluation.audit import Audit

MAX_PRINTED = 8  # findings on the terminal


@command("audit", "Rank labels by how likely they are wrong.", section="Catalog", resumes=True)
def audit(
    source: Source,
    options: LabelledCatalogOptions,
    changes: RecipeOptions,
    recipe: Annotated[
        str,
        typer.Option(
            help="Recipe of the models that check the labels (see `aisle recipes`), or a .toml file."
        ),
    ] = "fast",
    folds: Folds = 5,
    max_findings: Annotated[int, typer.Option(min=1, help="Write at most this many findings.")] = 10_000,
    out: Annotated[
        Path, typer.Option(help="Folder for audit.html, audit.csv, audit.jsonl and audit.json.")
    ] = Path("audit"),
    corrected: Annotated[
        Path | None,
        typer.Option(help="Also write the catalog with likely wrong labels replaced by the proposed ones."),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            "--server", metavar="URL", help="Put likely wrong labels into the review queue of this server."
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", envvar="AISLE_KEY", help="A key of role reviewer, where the server needs one."),
    ] = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Rank labels by how likely they are wrong, with a proposed category and the evidence, as table and page.

    The label of a product is compared with a model trained neither on it nor on a duplicate of it.
    """
    from aisle import workflow
    from aisle.cli.summary import print_catalog_summary
    from aisle.data.writing import check_output
    from aisle.errors import AisleError
    from aisle.evaluation import audit as auditing

    progress = console.progress(quiet or as_json)
    resolved = workflow.resolve(recipe, changes.all())  # before a large file is read
    if out.exists() and not out.is_dir():
        raise AisleError(f"--out: {out} is a file; name a folder")
    catalog = options.read(source)
    print_catalog_summary(catalog, progress)
    if corrected is not None:
        check_output(corrected, catalog)
    result = auditing.audit(
        catalog, resolved, folds=folds, most=max_findings, trust_code=trust_code, progress=progress
    )
    with wrap_write_errors(out):
        page = result.write(out)
    if corrected is not None:
        auditing.write_corrected(catalog, result, corrected)
    queued = None if server is None else _enqueue(server, key, catalog, result)
    if as_json:
        queue = {} if queued is None else {"queued": queued}
        console.print_json({**result.model_dump(mode="json"), **queue})
        return
    print_audit(result)
    if queued is not None:
        console.out.print(f"{queued:,} labels are in the review queue of {server}", markup=False)
    console.print_paths(report=page, table=out / "audit.csv", corrected=corrected)


def _enqueue(server: str, key: str | None, catalog: "Catalog", audit: "Audit") -> int:
    """Put the products whose labels are likely wrong into a server's queue, with these labels."""
    from aisle.cli.store import check_serve_installed

    check_serve_installed()
    from aisle.evaluation.audit.result import LIKELY
    from aisle.server.client import Client
    from aisle.taxonomy import format_path

    likely = [finding for finding in audit.findings if finding.chance >= LIKELY]
    position = {int(row): i for i, row in enumerate(catalog.rows)}
    products = [catalog[position[finding.row]] for finding in likely]
    notes = [
        f"Its label is wrong with a chance of {finding.chance:.0%}. Proposed: {format_path(finding.proposed)}"
        for finding in likely
    ]
    labels = [format_path(finding.present) for finding in likely]
    with Client(server, key, timeout=600) as client:
        return client.enqueue(products, [finding.chance for finding in likely], labels=labels, notes=notes)


def print_audit(audit: "Audit") -> None:
    """Print the labels that are most likely wrong."""
    from rich.table import Table

    from aisle.evaluation.numbers import percent
    from aisle.taxonomy import format_path

    console.out.print(
        f"{audit.likely:,} of {audit.audited:,} labels are likely wrong "
        f"({audit.siblings:,} of them belong in a sibling category); estimated wrong: "
        f"{percent(audit.share)} of all",
        markup=False,
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("chance", justify="right")
    for name in ("id", "title", "label", "proposed"):
        table.add_column(name)
    for finding in audit.findings[:MAX_PRINTED]:
        cells = (finding.id, finding.title[:40], format_path(finding.present), format_path(finding.proposed))
        table.add_row(percent(finding.chance, 0), *(cell.replace("[", "\\[") for cell in cells))
    console.out.print(table)
