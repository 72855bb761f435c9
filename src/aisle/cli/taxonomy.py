"""`aisle taxonomy`: the group of commands that compare and check category trees."""

from aisle.cli.command import group

group("taxonomy", "Compare and check category trees.", section="Catalog")
