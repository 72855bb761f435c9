"""`aisle taxonomy propose`: new categories for products that belong nowhere in the tree."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.atomic_files import wrap_write_errors
from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.loading import load_cached
from aisle.cli.options import AsJson, Device, LabelledCatalogOptions, Quiet, Run, Source, TrustCode

if TYPE_CHECKING:
    from aisle.evaluation.new_categories import NewCategories, NewCategory

_SHOWN = 12  # proposals on the terminal
_EXAMPLES = 3


@command("taxonomy propose", "Propose categories for products that belong nowhere.", section="Catalog")
def taxonomy_propose(
    run: Run,
    source: Source,
    options: LabelledCatalogOptions,
    out: Annotated[
        Path,
        typer.Option(help="Folder for proposals.html, proposals.json, tree.json and products.csv."),
    ] = Path("new_categories"),
    labelled: Annotated[bool, typer.Option("--all", help="Also look at products with a label.")] = False,
    min_products: Annotated[int, typer.Option(min=2, help="Products of a proposed category, at least.")] = 8,
    min_evidence: Annotated[
        float,
        typer.Option(
            help="Mean out-of-distribution score of a group over the threshold of one product, at least. "
            "Lower: more proposals, and more of them belong in the tree."
        ),
    ] = 0.35,
    trust_code: TrustCode = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Group products by their titles, and propose the groups that belong nowhere in the tree as new
    categories, named by their own words, each under its likeliest parent. `aisle migrate RUN
    OUT/tree.json --examples OUT/products.csv` makes a model that knows them."""
    from aisle.cli.summary import print_catalog_summary
    from aisle.errors import AisleError
    from aisle.evaluation.new_categories import propose_categories

    if out.exists() and not out.is_dir():
        raise AisleError(f"--out: {out} is a file; name a folder")
    progress = console.progress(quiet or as_json)
    model = load_cached(run, trust_code, device)
    catalog = options.read(source, like=model)
    print_catalog_summary(catalog, progress, model)
    proposals = propose_categories(
        model,
        catalog,
        labelled=labelled,
        min_products=min_products,
        min_evidence=min_evidence,
        progress=progress,
    )
    with wrap_write_errors(out):
        page = proposals.write(out, catalog, model.taxonomy)
    if as_json:
        console.print_json(proposals.model_dump(mode="json"))
        return
    print_proposals(proposals)
    migrate = console.command("migrate", run, out / "tree.json", "--examples", out / "products.csv")
    console.print_paths(
        report=page,
        tree=out / "tree.json",
        products=out / "products.csv",
        next=migrate if proposals.categories else None,
    )


def print_proposals(proposals: "NewCategories") -> None:
    """Print the proposed categories, those with most evidence first."""
    names = "category" if len(proposals.categories) == 1 else "categories"
    console.out.print(
        f"{len(proposals.categories):,} new {names} proposed, for {proposals.products:,} of "
        f"{proposals.rows:,} products; "
        f"{proposals.flagged:,} products are flagged by themselves",
        markup=False,
    )
    for category in proposals.categories[:_SHOWN]:
        _print_proposal(category)
    if len(proposals.categories) > _SHOWN:
        console.out.print(f"… and {len(proposals.categories) - _SHOWN:,} more in the report", style="dim")


def _print_proposal(category: "NewCategory") -> None:
    from aisle.taxonomy import format_path

    under = f"under {format_path(category.parent)}" if category.parent else "a new top category"
    console.out.print(f"\n{console.printable(category.name)}", style="bold", markup=False)
    console.out.print(
        f"  {console.printable(under)}: {len(category.rows):,} products, evidence {category.evidence:.2f}",
        markup=False,
    )
    similar = "; ".join(f"{format_path(each.path)} {each.share:.0%}" for each in category.similar)
    console.out.print(f"  predicted now: {console.printable(similar)}", style="dim", markup=False)
    for title in category.examples[:_EXAMPLES]:
        console.out.print(f"    {console.printable(title)}", style="dim", markup=False)
