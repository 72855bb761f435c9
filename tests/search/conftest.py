"""A store with five products in it; an index of the sample shop."""

import pytest

from aisle import search
from aisle.search.manifest import Manifest
from aisle.search.store import IndexStore, create
from tests.search.filtering import COLUMNS, DIM, rows


def new_store(folder, table=None):
    """Five products (or those given) in a new folder."""
    folder.mkdir()
    table = rows() if table is None else table
    create(folder, Manifest("model", "nowhere", {"title": "text"}, DIM, COLUMNS), [table])
    return IndexStore.open(folder)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return new_store(tmp_path_factory.mktemp("store") / "index")


@pytest.fixture(scope="package")
def indexed(trained, tmp_path_factory):
    """The sample shop's 240 products, indexed by the model that was trained on them."""
    out = tmp_path_factory.mktemp("indexes") / "shop"
    return search.build(trained.model, trained.catalog, out, run=trained.run)
