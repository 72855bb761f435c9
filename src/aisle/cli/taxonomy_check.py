"""`aisle taxonomy check`: what is wrong with a tree."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import (
    AsJson,
    CatalogOptions,
    Folds,
    LabelledCatalogOptions,
    Quiet,
    TrustCode,
    source_or_address,
)

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.evaluation.tree_check import TreeCheck
    from aisle.taxonomy import Taxonomy
    from aisle.training.recipe import AnyRecipe

_SHOWN = 5  # findings of a kind on the terminal


@command("taxonomy check", "Find what is wrong with a category tree.", section="Catalog")
def taxonomy_check(
    source: Annotated[
        Path,
        typer.Argument(
            parser=source_or_address,
            metavar="TREE_OR_CATALOG",
            help="A tree (text, CSV, JSON, XML), or a catalog with its products.",
        ),
    ],
    options: LabelledCatalogOptions,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="A run: confusions are counted in its scores of these products, or by its recipe.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Count confusions by models of a recipe, such as fast."),
    ] = None,
    confusion: Annotated[
        float, typer.Option(min=0.01, max=1, help="Share of two leaves' products taken for the other one.")
    ] = 0.2,
    folds: Folds = 5,
    tiny: Annotated[int, typer.Option(min=1, help="Products that a leaf has at least.")] = 5,
    max_depth: Annotated[int, typer.Option(min=1, help="Levels at most.")] = 5,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Find duplicate names, empty leaves, leaves that a model confuses, catch-alls, and deep branches.

    Each finding has a proposal and examples. A tree alone is checked for names and depth.
    """
    from aisle.cli.summary import print_catalog_summary
    from aisle.errors import CatalogError
    from aisle.evaluation.tree_check import TreeLimits, check_tree
    from aisle.inference.labelled_scores import LabelledScores

    progress = console.progress(quiet or as_json)
    resolved = _recipe(run, recipe)
    tree, catalog = read_tree_or_catalog(source, options)
    if catalog is None and resolved is not None:
        raise CatalogError(f"{source} is a tree: --run and --recipe need a catalog with products")
    if catalog is not None:
        print_catalog_summary(catalog, progress)
    limits = TreeLimits(tiny, max_depth, confusion, folds)
    labelled = None if run is None else LabelledScores.load(run if run.is_dir() else run.parent)
    found = check_tree(
        tree, catalog, resolved, limits, labelled=labelled, trust_code=trust_code, progress=progress
    )
    if as_json:
        console.print_json(found.model_dump(mode="json"))
        return
    print_check(found, catalog is not None, resolved is not None)


def _recipe(run: Path | None, recipe: str | None) -> "AnyRecipe | None":
    """The recipe of a run, or one by name."""
    from aisle import workflow

    if run is not None:
        file = (run if run.is_dir() else run.parent) / "recipe.toml"
        return workflow.resolve(str(file if file.is_file() else run.parent / "recipe.toml"), [])
    return None if recipe is None else workflow.resolve(recipe, [])


def read_tree_or_catalog(source: Path, options: CatalogOptions) -> "tuple[Taxonomy, Catalog | None]":
    """A tree and its products; None where the file is a tree alone.

    A catalog has labelled products with titles; anything else is read as a tree.

    Raises:
        TaxonomyError: the file is neither.
    """
    from aisle.errors import AisleError, TaxonomyError
    from aisle.taxonomy import read_tree_file

    try:
        catalog = options.read(source)
    except AisleError as error:
        try:
            return read_tree_file(source).taxonomy, None
        except TaxonomyError:
            raise error from None
    if catalog.labelled and catalog.columns.title is not None:
        return catalog.taxonomy, catalog
    return read_tree_file(source).taxonomy, None


def print_check(found: "TreeCheck", with_products: bool, with_model: bool) -> None:
    """Print the findings by kind."""
    from aisle.evaluation.tree_check import KINDS

    size = f"{found.categories:,} categories, {found.leaves:,} leaves, {found.levels} levels"
    products = f", {found.products:,} labelled products" if with_products else ""
    console.out.print(f"{size}{products}", markup=False)
    for kind, title in KINDS.items():
        own = [one for one in found.findings if one.kind == kind]
        if not own:
            continue
        console.out.print(f"\n{title}: {len(own):,}", style="bold", markup=False)
        for one in own[:_SHOWN]:
            console.out.print(
                f"  {console.printable(' | '.join(one.categories[:3]))}: {one.message}", markup=False
            )
            console.out.print(f"    → {console.printable(one.proposal)}", markup=False)
            for example in one.examples[:3]:
                console.out.print(f"      {console.printable(example)}", style="dim", markup=False)
        if len(own) > _SHOWN:
            console.out.print(f"  … and {len(own) - _SHOWN:,} more (--json lists all)", markup=False)
    if not found.findings:
        console.out.print("Nothing was found.", markup=False)
    if with_products and not with_model:
        console.out.print(
            "\nLeaves that a model cannot tell apart: add --run RUN, or --recipe fast.", markup=False
        )
