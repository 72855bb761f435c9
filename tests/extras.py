"""Skips test modules whose optional dependency is absent, without importing it at collection."""

from importlib.util import find_spec

import pytest


def require(package, extra):
    """Skip the calling module if a package is not installed.

    Args:
        package: The package's import name.
        extra: The extra of aisle that installs it.
    """
    if find_spec(package) is None:
        reason = f"{package} is not installed: pip install 'aisle[{extra}]'"
        pytest.skip(reason, allow_module_level=True)
