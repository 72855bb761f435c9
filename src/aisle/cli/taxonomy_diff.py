"""`aisle taxonomy diff`: changes between two versions of a tree."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from aisle.atomic_files import wrap_write_errors
from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import Quiet

if TYPE_CHECKING:
    from aisle.taxonomy.tree_diff import Change, TaxonomyDiff

_SHOWN = 8  # changes of each kind, without --all
_MARKS = {
    "renamed": "cyan", "moved": "cyan", "moved and renamed": "cyan", "merged": "magenta",
    "split": "magenta", "added": "green", "retired": "red", "kept": "dim",
}  # fmt: skip


@command("taxonomy diff", "List what changed between two versions of a tree.", section="Catalog")
def taxonomy_diff(
    old: Annotated[
        Path,
        typer.Argument(metavar="OLD", help="The earlier tree: text, CSV, JSON; a catalog; or a run folder."),
    ],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The later tree.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Print every change, not only the largest of each kind.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all changes to a JSON file.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write all changes as one HTML page.")] = None,
    ids: Annotated[
        bool | None,
        typer.Option(
            "--ids/--names", help="Match by ids, or by names only (default: ids where both have them)."
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """List the categories that were renamed, moved, merged, split, added and retired. Categories are matched
    by ids where both trees have them, else by names, what is above and below them, and common products."""
    import json

    from aisle.data.tree_source import common_products, open_tree
    from aisle.taxonomy.tree_diff import diff

    before, after = open_tree(old), open_tree(new)
    products = common_products(before, after)
    if products:
        console.say(f"{len(products):,} products are in both catalogs", quiet)
    result = diff(before.taxonomy, after.taxonomy, products=products, ids=ids)
    print_diff(result, everything)
    if json_file is not None:
        with wrap_write_errors(json_file):
            json_file.write_text(json.dumps(result.to_dict(), ensure_ascii=False, indent=1), "utf-8")
    if html is not None:
        with wrap_write_errors(html):
            result.to_html(html)
    console.print_paths(json=json_file, page=html)


def print_diff(diff: "TaxonomyDiff", everything: bool = False) -> None:
    """Print a summary of the changes, then the largest of each kind, or all."""
    print_counts(diff)
    for kind in diff.counts:
        if kind != "kept":
            _print_kind(diff, kind, everything)


def print_counts(diff: "TaxonomyDiff") -> None:
    """Print the number of changes of each kind."""
    by = "ids" if diff.by_ids else "names"
    console.out.print(
        f"{len(diff.old):,} categories before, {len(diff.new):,} now, matched by {by}", style="bold"
    )
    for note in diff.notes:
        console.out.print(note, style="dim", markup=False)
    if diff.unchanged:
        console.out.print("No category changed.", style="green")
        return
    for kind, count in diff.counts.items():
        console.out.print(Text.assemble((f"{count:>8,}  ", "bold"), (kind, _MARKS[kind])))
    uncertain = len(diff.uncertain)
    if uncertain:
        console.out.print(Text.assemble((f"{uncertain:>8,}  ", "bold"), ("uncertain: check these", "yellow")))


def _print_kind(diff: "TaxonomyDiff", kind: str, everything: bool) -> None:
    changes = diff.of(kind)
    printed = changes if everything else changes[:_SHOWN]
    console.out.print()
    console.out.print(Text(kind.capitalize(), f"bold {_MARKS[kind]}"))
    for change in printed:
        _print_change(diff, change)
    if len(changes) > len(printed):
        console.out.print(f"  … and {len(changes) - len(printed):,} more (--all prints them)", style="dim")


def _print_change(diff: "TaxonomyDiff", change: "Change") -> None:
    old, new = map(console.printable, diff.describe(change))
    text = f"{old} → {new}" if old and new else old or new
    line = Text.assemble("  ", text)
    if change.uncertain or (change.kind == "retired" and new):
        line.append(f"  {change.probability:.0%}", "yellow")
        line.append(f"  {console.printable('; '.join(change.evidence))}", "dim")
    console.out.print(line)
