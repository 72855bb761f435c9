"""What tests of readers ask of a catalog."""

import pytest

from aisle.data import read
from aisle.errors import CatalogError


def raw(catalog):
    """The cells of every record as they are read, by column."""
    return [catalog.raw(i) for i in range(len(catalog))]


def check_refused(path, message):
    """Reading a file fails with a message that is one line and contains `message`."""
    with pytest.raises(CatalogError) as failed:
        read(path)
    assert message in str(failed.value)
    assert "\n" not in str(failed.value)
