"""Preprocessors: values of a view to arrays, without torch; saved with the model and used by exported models.

`__all__` is the list of choices; a bundle names the class of each view.
"""

from aisle.models.preprocessing.base import Prepared, Preprocessor
from aisle.models.preprocessing.images import ImagePreprocessor
from aisle.models.preprocessing.tfidf import TfidfPreprocessor
from aisle.models.preprocessing.tokens import TokenPreprocessor
from aisle.models.preprocessing.vectors import VectorPreprocessor

__all__ = [
    "ImagePreprocessor",
    "Prepared",
    "Preprocessor",
    "TfidfPreprocessor",
    "TokenPreprocessor",
    "VectorPreprocessor",
]
