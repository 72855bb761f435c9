"""Multimodal hierarchical product classification with a guaranteed precision.

    aisle.train(source)             a model, from a file, a data frame or rows with categories
    aisle.load(folder)              a saved model
    aisle.evaluate(model, source)   accuracy, calibration and decisions on labelled products
    aisle.read(source)              a catalog, where columns have to be named or rows inspected first

`model.predict(source)` classifies products: a file, a data frame, rows, titles, or a single product.

    import aisle

    model = aisle.train("products.csv")
    predictions = model.predict("new.csv")
    print(predictions.to_pandas())
    model.save("shop-model")

`aisle.sklearn.ProductClassifier` is the same as a scikit-learn classifier. Messages are logged to the logger
`aisle`. Public names are imported when first used, so that importing Aisle is fast.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aisle import search as search
    from aisle import sklearn as sklearn
    from aisle.data import Catalog, ImageRef, Problem, Product, read
    from aisle.errors import AisleError
    from aisle.guarantee import Prediction, Predictions
    from aisle.inference.write_back import write_back
    from aisle.taxonomy import Taxonomy
    from aisle.workflow import evaluate, load, train

__version__ = "0.1.0"

__all__ = [
    "AisleError",
    "Catalog",
    "ImageRef",
    "Prediction",
    "Predictions",
    "Problem",
    "Product",
    "Taxonomy",
    "__version__",
    "evaluate",
    "load",
    "read",
    "train",
    "write_back",
]

_MODULES = {
    "AisleError": "aisle.errors",
    "Catalog": "aisle.data",
    "ImageRef": "aisle.data",
    "Prediction": "aisle.guarantee",
    "Predictions": "aisle.guarantee",
    "Problem": "aisle.data",
    "Product": "aisle.data",
    "Taxonomy": "aisle.taxonomy",
    "evaluate": "aisle.workflow",
    "load": "aisle.workflow",
    "read": "aisle.data",
    "train": "aisle.workflow",
    "write_back": "aisle.inference.write_back",
}
_SUBMODULES = ("search", "sklearn")  # usable after `import aisle`: aisle.search.open("INDEX")

logging.getLogger("aisle").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"aisle.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'aisle' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
