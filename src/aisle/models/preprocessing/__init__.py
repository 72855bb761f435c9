"""What turns a view's values into arrays: torch-free, saved with the model, shared by the network and its
twins. `__all__` is the list of choices; a bundle names which one each view uses.
"""

from aisle.models.preprocessing.base import Prepared, Preparer
from aisle.models.preprocessing.images import Pictures
from aisle.models.preprocessing.lexical import Lexical
from aisle.models.preprocessing.tokens import Tokens
from aisle.models.preprocessing.vectors import Vectors

__all__ = ["Lexical", "Pictures", "Prepared", "Preparer", "Tokens", "Vectors"]
