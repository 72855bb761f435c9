"""`aisle map`: the shop's categories in another tree."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import Alpha, AsJson, LabelledCatalogOptions, Precision, Quiet, Source

if TYPE_CHECKING:
    from rich.table import Table

    from aisle.data import Catalog
    from aisle.mapping import CategoryMapping, Overrides
    from aisle.taxonomy import TreeFile

_ROWS = 15  # of the printed table


@command("map", "Map the shop's categories onto another tree.", section="Catalog")
def map_catalog(
    source: Source,
    options: LabelledCatalogOptions,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="google|shopify|TREE", help="The other tree: a name, a file, a folder, a URL."
        ),
    ],
    language: Annotated[
        list[str] | None,
        typer.Option(help="A further language of a named tree, such as de-DE, for a shop in it. Repeatable."),
    ] = None,
    target_products: Annotated[
        Path | None,
        typer.Option(help="A catalog with categories of the other tree, whose titles are compared."),
    ] = None,
    text_encoder: Annotated[
        str | None,
        typer.Option(
            "--text-encoder",
            metavar="PATH_OR_NAME",
            help="Compare names by this encoder too: a folder or hub name.",
        ),
    ] = None,
    checked: Annotated[
        Path | None, typer.Option(help="Checked pairs (CSV): fits the mapping to them, and guarantees it.")
    ] = None,
    reference: Annotated[
        bool,
        typer.Option(
            "--reference", help="Decide by public pairs, which your tree may not resemble, without --checked."
        ),
    ] = False,
    overrides: Annotated[
        Path | None, typer.Option(help="Targets that you set (CSV: category or product, and target).")
    ] = None,
    precision: Precision = 0.95,
    alpha: Alpha = 0.05,
    out: Annotated[
        Path,
        typer.Option(help="The mapping, .csv or .json. Filled `override` cells of an earlier .csv stay."),
    ] = Path("mapping.csv"),
    feed: Annotated[
        Path | None,
        typer.Option(help="A copy of the catalog with the target of each product, such as feed.filled.xml."),
    ] = None,
    feed_column: Annotated[
        str | None,
        typer.Option(
            help="The column filled in it (default: the platform's, such as google_product_category)."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Write targets that are left for review into the feed too.")
    ] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Also write so many random categories, to check.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Map the shop's categories, and products whose category straddles several, onto another tree."""
    from aisle.cli.summary import print_catalog_summary
    from aisle.mapping import (
        map_categories,
        product_titles,
        read_checked,
        read_target,
        shop_side,
        write_feed,
        write_mapping,
    )
    from aisle.mapping.files import as_json as mapping_json
    from aisle.mapping.files import write_sample

    progress = console.progress(quiet or as_json)
    target = read_target(to, language or ())
    pairs = [] if checked is None else read_checked(checked, target.taxonomy)
    overrides_ = _overrides(out, overrides, target)
    catalog = read_shop(source, options)
    print_catalog_summary(catalog, progress)
    side, products = shop_side(catalog)
    encoder = None
    if text_encoder is not None:
        from aisle.mapping.encoders import text_encoder as open_encoder

        encoder = open_encoder(text_encoder, progress)
    mapping = map_categories(
        side,
        target,
        products=products,
        ids=[product.id for product in catalog] if overrides_.products else (),
        target_texts=None if target_products is None else product_titles(target_products, target.taxonomy),
        encoder=encoder,
        checked=pairs,
        overrides=overrides_,
        reference=reference,
        precision=precision,
        alpha=alpha,
    )
    files = {"mapping": write_mapping(mapping, out, catalog)[0]}
    if sample is not None:
        files["to_check"] = out.with_name(f"{out.stem}.check.csv")
        write_sample(mapping, files["to_check"], sample)
    if feed is not None:
        write_feed(catalog, mapping, feed, feed_column, every)
        files["feed"] = feed
    if as_json:
        console.print_json(mapping_json(mapping, catalog))
        return
    _print(mapping)
    console.print_paths(**{name: str(file) for name, file in files.items()})


def read_shop(source: Path, options: LabelledCatalogOptions) -> "Catalog":
    """The shop's catalog, with the shop's own categories where a feed has Google's too."""
    from aisle.mapping import shop_category_column

    catalog = options.read(source)
    column = shop_category_column(catalog)
    if column is not None and not options.described().columns:
        return replace(options, column=[f"category={column}"]).read(source)
    return catalog


def _overrides(out: Path, file: Path | None, target: "TreeFile") -> "Overrides":
    """The overrides of an earlier mapping, then those of a file."""
    from aisle.mapping import Overrides, earlier_overrides, read_overrides

    earlier = earlier_overrides(out, target.taxonomy) if out.suffix.lower() == ".csv" else Overrides()
    return earlier if file is None else earlier | read_overrides(file, target.taxonomy)


def _print(mapping: "CategoryMapping") -> None:
    console.out.print(_table(mapping))
    counts = {name: mapping.count(name) for name in ("decided", "review", "override")}
    straddling = sum(category.straddles for category in mapping.categories)
    console.out.print(
        f"{len(mapping.categories):,} categories onto {mapping.kind}: {counts['decided']:,} decided, "
        f"{counts['review']:,} for review, {counts['override']:,} set by you; "
        f"{straddling:,} straddle several targets ({len(mapping.products):,} products listed).",
        markup=False,
    )
    console.out.print(mapping.guarantee.statement, markup=False)
    for text in dict.fromkeys(mapping.overrides.unknown):
        console.out.print(
            f"Override {text!r} is not in the tree.{mapping.target.did_you_mean(text)}", markup=False
        )


def _table(mapping: "CategoryMapping") -> "Table":
    """The categories with most products."""
    from rich.table import Table

    from aisle.mapping.files import id_of, path_of

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("category", "products", "target", "id", "probability", "decision"):
        table.add_column(name, justify="right" if name in ("products", "probability") else "left")
    for category in sorted(mapping.categories, key=lambda category: -category.products)[:_ROWS]:
        table.add_row(
            console.printable(path_of(mapping.source, category.node)),
            f"{category.products:,}",
            console.printable(path_of(mapping.target, category.target)) or "none",
            id_of(mapping.target, category.target),
            f"{category.probability:.2f}",
            "straddles" if category.straddles else category.decision,
        )
    return table
