"""`aisle compare`: compares recipes by cross-validation."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson, Folds, LabelledCatalogOptions, Quiet, RecipeOptions, Source, TrustCode


@command("compare", "Compare recipes on the same folds, in one table.", section="Evaluation", resumes=True)
def compare(
    source: Source,
    recipes: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE",
            help="Recipes, each with optional changes and a name: fast 'text only: fast views.image=false'. "
            "Differences are to the first.",
        ),
    ],
    options: LabelledCatalogOptions,
    changes: RecipeOptions,
    folds: Folds = 5,
    seeds: Annotated[int, typer.Option(help="Number of seeds per recipe: 0, 1, …")] = 1,
    test: Annotated[
        bool, typer.Option("--test", help="Evaluate once on the rows marked `test`, without folds.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of the table and of finished models.")] = Path("compare"),
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train recipes on the same folds and seeds; write one table, as Markdown, HTML and JSON.

    To continue an interrupted comparison, run it again with the same --out.
    """
    from aisle.cli.summary import print_catalog_summary
    from aisle.errors import CatalogError
    from aisle.evaluation.compare import compare as run
    from aisle.evaluation.compare import parse_variant
    from aisle.models.features import FeatureStore
    from aisle.workflow import part

    progress = console.progress(quiet or as_json)
    encoders = changes.encoders()
    # Before a large file is read.
    variants = [parse_variant(text, changes.changes or (), encoders) for text in recipes]
    if out.exists() and not out.is_dir():
        raise CatalogError(f"--out: {out} is a file; name a folder")
    catalog = options.read(source)
    print_catalog_summary(catalog, progress)
    if test and (catalog.split is None or "test" not in set(catalog.split)):
        raise CatalogError(f"--test: no row of {source} is marked `test` in a split column")
    comparison = run(
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
    page = comparison.write(out)
    if as_json:
        console.print_json(comparison.model_dump(mode="json"))
        return
    console.print_markdown(comparison.markdown())
    console.print_paths(report=page)
