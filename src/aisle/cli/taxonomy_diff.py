"""`aisle taxonomy diff`: what changed between two versions of a tree."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson


@command("taxonomy diff", "List what changed between two versions of a tree.", section="Catalog")
def taxonomy_diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The earlier tree: text, CSV or JSON.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The later tree.")],
    as_json: AsJson = False,
) -> None:
    """List the categories that were added and retired."""
    from aisle.taxonomy import format_path, read_taxonomy

    before, after = ([node.path for node in read_taxonomy(tree).nodes] for tree in (old, new))
    added = [format_path(path) for path in after if path not in set(before)]
    retired = [format_path(path) for path in before if path not in set(after)]
    if as_json:
        console.print_json({"added": added, "retired": retired})
        return
    for mark, paths in (("+", added), ("-", retired)):
        for path in paths:
            console.out.print(f"{mark} {console.printable(path)}", markup=False)
