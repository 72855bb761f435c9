"""Opens the server's database for `aisle keys` and `aisle feedback`."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aisle.errors import AisleError


def check_serve_installed() -> None:
    """Check that the packages of the extra `serve` are installed, before they are imported.

    Raises:
        AisleError: They are not.
    """
    if any(importlib.util.find_spec(name) is None for name in ("fastapi", "sqlalchemy", "alembic", "mcp")):
        raise AisleError("serving needs more packages: pip install 'aisle[serve]'")


@contextmanager
def opened(store: str) -> Iterator[Any]:
    """The database at an address, closed at the end.

    Raises:
        AisleError: The extra `serve` is not installed, or the database cannot be opened.
    """
    check_serve_installed()
    from aisle.server.store import ServerStore

    database = ServerStore(store)
    try:
        yield database
    finally:
        database.close()
