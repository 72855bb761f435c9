"""Writes predicted categories into a copy of the shop export that they were predicted for."""

from aisle.inference.write_back.run import (
    WriteBackSummary,
    check_write_back,
    write_back,
    write_back_catalog,
)

__all__ = ["WriteBackSummary", "check_write_back", "write_back", "write_back_catalog"]
