"""What reads one view. `__all__` is the list of choices; adding an encoder is adding a class.

An encoder is a plain module with `dim` (its width), `modality`, and `prepare_class`: the torch-free
object that makes its arrays. Its `forward` takes those arrays by name and returns `Encoded`.
"""

from aisle.models.encoders.images import SmallConv, TransformerImage
from aisle.models.encoders.lexical import Lexical
from aisle.models.encoders.recurrent import Recurrent
from aisle.models.encoders.subword import Subword
from aisle.models.encoders.text import TransformerText
from aisle.models.encoders.timm import TimmImage
from aisle.models.encoders.vector import Vector

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
