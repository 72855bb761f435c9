"""`aisle migrate`: moves a model to another version of its tree."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.atomic_files import wrap_write_errors
from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.curve import print_curve
from aisle.cli.options import AsJson, CatalogOptions, Quiet, Run, TrustCode
from aisle.cli.run_source import read_run_source
from aisle.cli.taxonomy_diff import print_counts
from aisle.errors import AisleError

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.inference.migration import Migration

_SHOWN = 8  # branches without labelled rows that are named


@command("migrate", "Move a model to a new tree, without training.", section="Training")
def migrate(
    run: Run,
    new_tree: Annotated[
        Path, typer.Argument(metavar="NEW_TREE", help="The new tree: text, CSV or JSON; or a catalog.")
    ],
    options: CatalogOptions,
    examples: Annotated[
        Path | None,
        typer.Option(
            "--examples",
            metavar="FILE",
            help="Products with categories of the new tree, which teach split and added categories.",
        ),
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option(
            "--catalog", help="Products with categories of the old tree (default: those of the training)."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the new model (default: RUN-migrated).")] = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Move a model to another version of its tree. Categories that are unchanged, renamed or moved keep
    their scores; those of merged ones are added; those of a split one are shared among its parts by the
    similarity to their names and to examples; the replacement of a retired one gets its scores."""
    from aisle import workflow
    from aisle.data.tree_source import open_tree
    from aisle.inference.labelled_scores import LabelledScores
    from aisle.inference.migration import migrate as migrate_model
    from aisle.inference.migration.unsure import unsure_products, write_unsure

    model = workflow.load(run, trust_code=trust_code)
    run_folder = run.parent if run.name == "model" else run
    target = out or run_folder.with_name(f"{run_folder.name}-migrated")
    rows = _old_products(run_folder, catalog, options, model, quiet)
    example_rows = None if examples is None else options.read(examples, like=model)
    migration = migrate_model(
        model,
        open_tree(new_tree).taxonomy,
        examples=example_rows,
        labelled=LabelledScores.load(run_folder),
    )
    saved = migration.model.save(target / "model")
    listed = target / "unsure.csv"
    with wrap_write_errors(target):
        (target / "changes.json").write_text(
            json.dumps(migration.changes.to_dict(), ensure_ascii=False, indent=1), "utf-8"
        )
        migration.changes.to_html(target / "changes.html")
        count = 0
        if rows is not None:
            products = unsure_products(rows, migration.changes, migration.moves, saved)
            count = write_unsure(listed, rows, products)
    if as_json:
        console.print_json(_as_json(migration, saved.model_id, target, count))
        return
    if not quiet:
        _print_migration(migration, target, rows, count)
    console.print_paths(
        model=target / "model", changes=target / "changes.html", to_check=listed if count else None
    )


def _old_products(
    run_folder: Path, catalog: Path | None, options: CatalogOptions, model: object, quiet: bool
) -> "Catalog | None":
    """Products with labels of the old tree: those given, or those that the run was trained on."""
    if catalog is not None:
        return options.read(catalog, like=model)
    try:
        return read_run_source(run_folder, None, options, model)
    except AisleError:
        console.say(
            "the training catalog is missing, so that no product is listed; name it with --catalog FILE",
            quiet,
        )
        return None


def _print_migration(migration: "Migration", target: Path, rows: "Catalog | None", count: int) -> None:
    print_counts(migration.changes)
    if rows is not None:
        console.out.print(f"{count:,} of {len(rows):,} products have a category that is to be checked")
    tree = migration.changes.new
    if migration.without_scores:
        names = ", ".join(tree.nodes[tree.index(i)].name for i in migration.without_scores[:_SHOWN])
        console.say(f"{len(migration.without_scores):,} added categories are never predicted: {names}")
    if not migration.labelled_rows:
        console.say(
            "nothing is guaranteed: there are no scores of labelled rows next to the model. "
            f"{console.command('calibrate', target / 'model', 'LABELLED_FILE')} fits the guarantee"
        )
        return
    console.out.print(f"the guarantee was fitted on {migration.labelled_rows:,} labelled rows")
    if migration.without_labels:
        paths = [" > ".join(tree.nodes[tree.index(i)].path) for i in migration.without_labels]
        more = f" and {len(paths) - _SHOWN:,} more" if len(paths) > _SHOWN else ""
        console.out.print(f"without a labelled row, so that nothing is decided there: {len(paths):,}")
        for name in paths[:_SHOWN]:
            console.out.print(f"  {console.printable(name)}", markup=False)
        if more:
            console.out.print(f" {more}")
    print_curve(migration.model.policy, target)


def _as_json(migration: "Migration", model_id: str, target: Path, count: int) -> dict[str, object]:
    return {
        "model": str(target / "model"),
        "model_id": model_id,
        "changes": migration.changes.counts,
        "uncertain": len(migration.changes.uncertain),
        "labelled_rows": migration.labelled_rows,
        "without_labels": list(migration.without_labels),
        "without_scores": list(migration.without_scores),
        "unsure_products": count,
        "guarantees": [g._asdict() for g in migration.model.policy.guarantees],
    }
