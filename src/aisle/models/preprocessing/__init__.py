"""What turns a view's values into arrays: torch-free, saved with the model, shared by the network and its
exported models. `__all__` is the list of choices; a bundle names which one each view uses.
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
