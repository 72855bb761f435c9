"""`aisle import-annotations`: reads labelled products from an export of Label Studio."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson

_SHOWN = 5  # unknown categories and disagreements that are named


@command(
    "import-annotations",
    "Read labels from a Label Studio or Prodigy export.",
    section="Catalog",
)
def import_annotations(
    export: Annotated[
        Path,
        typer.Argument(
            metavar="EXPORT.json",
            help="An export of Label Studio in the format JSON, or of `prodigy db-out` (.jsonl).",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Output file: .jsonl (as `aisle feedback export`) or .csv.")],
    run: Annotated[
        Path | None,
        typer.Option(help="A run or model: labels that are not in its tree are reported and left out."),
    ] = None,
    taxonomy: Annotated[Path | None, typer.Option(help="A file with the tree, in place of --run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read labelled products from annotations, for `aisle train`. The majority of annotators decides, each
    with the latest annotation; a ground truth decides alone. Skipped tasks and ties are left out."""
    from aisle import workflow
    from aisle.cli.summary import count
    from aisle.inference.label_studio import read_annotations
    from aisle.taxonomy import format_path, read_taxonomy

    tree = None
    if taxonomy is not None:
        tree = read_taxonomy(taxonomy)
    elif run is not None:
        tree = workflow.load(run).taxonomy
    annotations = read_annotations(export, tree)
    annotations.write(out)
    if as_json:
        unknown = [{"path": list(path), "tasks": tasks} for path, tasks in annotations.unknown.most_common()]
        console.print_json(
            {
                "tasks": annotations.tasks,
                "labelled": len(annotations.rows),
                "skipped": annotations.skipped,
                "open": annotations.open,
                "disagreements": annotations.disagreements,
                "several_categories": annotations.several,
                "unknown": unknown,
                "file": str(out),
            }
        )
        return
    console.out.print(
        f"{count(annotations.tasks, 'task')}: {len(annotations.rows):,} labelled, "
        f"{annotations.skipped:,} skipped, "
        f"{annotations.open:,} without an annotation"
    )
    if annotations.several:
        console.say(
            f"{count(annotations.several, 'task')} with several categories: the first one is the label"
        )
    if annotations.disagreements:
        ids = ", ".join(annotations.disagreements[:_SHOWN])
        console.say(
            f"{count(len(annotations.disagreements), 'task')} left out, because annotators disagree: {ids}"
        )
    if annotations.unknown:
        paths = "; ".join(
            f"{format_path(path)} ({n:,})" for path, n in annotations.unknown.most_common(_SHOWN)
        )
        total = sum(annotations.unknown.values())
        console.say(f"{count(total, 'task')} left out, because the tree has no such category: {paths}")
    next_ = console.command("train", out)
    console.print_paths(labels=out, next=next_)
