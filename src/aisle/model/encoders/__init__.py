"""What reads one view. `__all__` is the list of choices; adding an encoder is adding a class.

An encoder is a plain module with `dim` (its width), `modality`, and `prepare_class`: the torch-free
object that makes its arrays. Its `forward` takes those arrays by name and returns `Encoded`.
"""

from aisle.model.encoders.lexical import Lexical
from aisle.model.encoders.pictures import SmallConv, TransformerImage
from aisle.model.encoders.recurrent import Recurrent
from aisle.model.encoders.subword import Subword
from aisle.model.encoders.text import TransformerText
from aisle.model.encoders.timm import TimmImage
from aisle.model.encoders.vector import Vector

__all__ = [
    "Lexical",
    "Recurrent",
    "SmallConv",
    "Subword",
    "TimmImage",
    "TransformerImage",
    "TransformerText",
    "Vector",
]
