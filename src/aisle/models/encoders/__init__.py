"""Encoders of single views. `__all__` is the list of choices.

An encoder is a module with `dim` (its width), `modality` and `preprocessor_class`, the torch-free class of
its preprocessor. Its `forward` takes the preprocessor's arrays by name and returns `Encoded`.
"""

from aisle.models.encoders.convolutional import TextCNNEncoder
from aisle.models.encoders.images import ConvEncoder, TransformerImageEncoder
from aisle.models.encoders.recurrent import RecurrentEncoder
from aisle.models.encoders.subword import SubwordEncoder
from aisle.models.encoders.text import TransformerTextEncoder
from aisle.models.encoders.tfidf import TfidfEncoder
from aisle.models.encoders.timm import TimmEncoder
from aisle.models.encoders.vector import VectorEncoder

__all__ = [
    "ConvEncoder",
    "RecurrentEncoder",
    "SubwordEncoder",
    "TextCNNEncoder",
    "TfidfEncoder",
    "TimmEncoder",
    "TransformerImageEncoder",
    "TransformerTextEncoder",
    "VectorEncoder",
]
