"""Dialects of shop exports: one TOML file per platform defines its columns and formats."""

from aisle.data.dialects.detection import detect_dialect, dialect_names, load_dialect
from aisle.data.dialects.schema import Dialect

__all__ = ["Dialect", "detect_dialect", "dialect_names", "load_dialect"]
