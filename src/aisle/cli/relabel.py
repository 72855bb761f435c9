"""`aisle relabel`: moves the labels of a catalog into another version of the tree."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.atomic_files import wrap_write_errors
from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson, LabelledCatalogOptions, Quiet, Source, TrustCode


@command("relabel", "Move the labels of a catalog into a new tree.", section="Catalog")
def relabel(
    source: Source,
    options: LabelledCatalogOptions,
    to: Annotated[Path, typer.Option("--to", metavar="NEW_TREE", help="The new tree: text, CSV or JSON.")],
    out: Annotated[
        Path | None, typer.Option(help="The new file (default: NAME.relabelled.ENDING in its folder).")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", help="A model over the new tree, as of `aisle migrate`, that proposes categories."
        ),
    ] = None,
    unsure: Annotated[
        Path | None,
        typer.Option("--unsure", help="CSV of the products that keep their label (default: OUT.unsure.csv)."),
    ] = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Copy a catalog file with its labels moved into a new tree; every other cell stays as it is. Products
    whose category was retired, split or is uncertain keep their label, and are listed with a proposal."""
    from aisle import workflow
    from aisle.cli.taxonomy_diff import print_counts
    from aisle.data.tree_source import open_tree
    from aisle.inference.migration.unsure import unsure_products, write_unsure
    from aisle.inference.relabel import relabel as relabel_catalog
    from aisle.taxonomy.tree_diff import diff
    from aisle.taxonomy.tree_diff.moves import moves

    catalog = options.read(source, progress=console.progress(quiet or as_json))
    changes = diff(catalog.taxonomy, open_tree(to).taxonomy)
    output = out or _beside(source)
    relabelled = relabel_catalog(catalog, changes, output)
    judge = None if model is None else workflow.load(model, trust_code=trust_code)
    listed = unsure or output.with_name(f"{output.name.split('.')[0]}.unsure.csv")
    if relabelled.unsure:
        with wrap_write_errors(listed):
            write_unsure(listed, catalog, unsure_products(catalog, changes, moves(changes), judge))
    if as_json:
        data = {k: str(v) if isinstance(v, Path) else v for k, v in relabelled._asdict().items()}
        console.print_json(
            {**data, "list": str(listed) if relabelled.unsure else None, "changes": changes.counts}
        )
        return
    if not quiet:
        print_counts(changes)
    console.out.print(
        f"{relabelled.products:,} labels: {relabelled.kept:,} are the same, {relabelled.moved:,} moved, "
        f"{relabelled.unsure:,} to check"
    )
    if relabelled.without_code:
        console.say(f"without a code in this shop: {', '.join(relabelled.without_code[:5])}", quiet)
    console.print_paths(file=relabelled.out, to_check=listed if relabelled.unsure else None)


def _beside(source: Path) -> Path:
    stem, _, endings = source.name.partition(".")
    return source.with_name(f"{stem}.relabelled.{endings}" if endings else f"{stem}.relabelled")
