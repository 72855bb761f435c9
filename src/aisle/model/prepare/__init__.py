"""What turns a view's values into arrays: torch-free, saved with the model, shared by the network and its
twins. `__all__` is the list of choices; a bundle names which one each view uses.
"""

from aisle.model.prepare.base import Prepared, Preparer
from aisle.model.prepare.lexical import Lexical
from aisle.model.prepare.pictures import Pictures
from aisle.model.prepare.tokens import Tokens
from aisle.model.prepare.vectors import Vectors

__all__ = ["Lexical", "Pictures", "Prepared", "Preparer", "Tokens", "Vectors"]
