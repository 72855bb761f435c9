"""`aisle recipes`: lists or prints the shipped recipes."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson


@command("recipes", "List the shipped recipes, or print one.", section="Training")
def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Print this recipe's TOML, to copy and change.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the shipped recipes, or print one."""
    from aisle.training.recipe import load_recipe, shipped

    if name is not None:
        recipe = load_recipe(name)
        if as_json:
            console.print_json(recipe.model_dump(exclude_none=True))
        else:
            typer.echo(shipped().get(name) or Path(name).read_text(), nl=False)
        return
    descriptions = {known: load_recipe(known).description for known in shipped()}
    if as_json:
        console.print_json(descriptions)
        return
    width = max(map(len, descriptions))
    for known, description in descriptions.items():
        console.out.print(f"{known:<{width}}  {description}", markup=False)
    console.say("copy one and change it: aisle recipes fast > mine.toml; aisle train FILE --recipe mine.toml")
