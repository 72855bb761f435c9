"""Aisle puts every product of a shop or marketplace in its place.

    import aisle

    catalog = aisle.read("products.csv")
    model = aisle.train(catalog, recipe="fast")
    predictions = model.predict(catalog)

Public names are loaded when first used, so that `import aisle` costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "AisleError": "aisle.errors",
    "Catalog": "aisle.data",
    "ImageRef": "aisle.data",
    "Prediction": "aisle.guarantee",
    "Problem": "aisle.data",
    "Product": "aisle.data",
    "Taxonomy": "aisle.taxonomy",
    "evaluate": "aisle.workflow",
    "load": "aisle.workflow",
    "read": "aisle.workflow",
    "train": "aisle.workflow",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "search":  # a room of its own: aisle.search.open("INDEX")
        return importlib.import_module("aisle.search")
    if name not in _HOMES:
        raise AttributeError(f"module 'aisle' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
