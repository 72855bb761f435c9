"""`aisle compare`: which recipe is better, by how much, at what price?"""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console


def compare(
    source: flags.Source,
    recipes: Annotated[
        list[str],
        typer.Argument(
            help="Recipes, each with changes and a name if you like: fast "
            "'text only: fast views.image=false'. Gains are over the first."
        ),
    ],
    folds: Annotated[int, typer.Option(help="Parts of the training rows that take turns being judged.")] = 5,
    seeds: Annotated[int, typer.Option(help="Train each that often, with seeds 0, 1, …")] = 1,
    test: Annotated[
        bool, typer.Option("--test", help="Judge the rows marked `test` once, instead of folds.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of the table and of finished trainings.")] = Path(
        "compare"
    ),
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
    """Train recipes on the same folds and seeds; one table, as Markdown, HTML and JSON.

    A comparison that was interrupted goes on where it stood: run it again with the same --out.
    """
    from aisle.cli.interrupts import continue_with, same_command

    continue_with(same_command)  # also while libraries are imported
    from aisle.cli.summary import tell
    from aisle.errors import CatalogError
    from aisle.evaluation.compare import compare as run
    from aisle.evaluation.compare import parse_variant
    from aisle.models.features import FeatureStore
    from aisle.training.recipe import encoder_changes
    from aisle.workflow import part

    progress = console.progress(quiet or as_json)
    encoders = encoder_changes(text_encoder, image_encoder)
    variants = [parse_variant(text, changes or (), encoders) for text in recipes]  # before a large file
    if out.exists() and not out.is_dir():
        raise CatalogError(f"--out: {out} is a file; name a folder")
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
    if test and (catalog.split is None or "test" not in set(catalog.split)):
        raise CatalogError(f"--test: no row of {source} is marked `test` in a split column")
    found = run(
        part(catalog, "train"),
        variants,
        folds=folds,
        seeds=range(seeds),
        test=part(catalog, "test") if test else None,
        out=out,
        source=source.name or str(source),
        store=FeatureStore(),
        trust_code=trust_code,
        progress=progress,
    )
    page = found.write(out)
    if as_json:
        console.print_json(found.model_dump(mode="json"))
        return
    console.print_markdown(found.markdown())
    console.places(report=page)
