"""Moves trained models to another version of their tree."""

from aisle.inference.migration.migrate import Migration, migrate
from aisle.inference.migration.model import MigratedModel

__all__ = ["MigratedModel", "Migration", "migrate"]
