"""Aisle: multimodal hierarchical product classification with a guaranteed precision.

    import aisle

    catalog = aisle.read("products.csv")
    model = aisle.train(catalog, recipe="fast")
    predictions = model.predict(catalog)

Public names are imported when first used, so that `import aisle` is fast.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_MODULES = {
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
    "write_back": "aisle.inference.write_back",
}

__all__ = [*_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "search":  # a package: aisle.search.open("INDEX")
        return importlib.import_module("aisle.search")
    if name not in _MODULES:
        raise AttributeError(f"module 'aisle' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
