"""The decisions of the products of a catalog, a few bytes each."""

from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from aisle.guarantee import Prediction
from aisle.taxonomy import CategoryPath

_DECISIONS = ("accept", "partial", "review")


class ChosenCategory(NamedTuple):
    """The category that is written for a product: its path and its id."""

    path: CategoryPath
    id: str


class ProductDecisions(Protocol):
    """The cells to write for each product, by its position."""

    def category(self, product: int) -> ChosenCategory | None:
        """The category that is written for a product; None where it stays as it is."""
        ...

    def decision(self, product: int) -> str:
        """How a product was decided."""
        ...

    def confidence(self, product: int) -> float:
        """The confidence of a product's category."""
        ...


class DecisionLog:
    """The cells to write for each product, by its position.

    Args:
        every: Whether each product gets its best category; else only those that were decided, as deep as
            they were.

    Attributes:
        decided: The number of products that were decided.
    """

    def __init__(self, every: bool = False) -> None:
        self.every, self.decided = every, 0
        self._categories: list[ChosenCategory] = []
        self._numbers: dict[ChosenCategory, int] = {}
        self._category = array("i")  # -1: none
        self._decision = array("B")
        self._confidence = array("d")

    def __len__(self) -> int:
        return len(self._category)

    def add(self, prediction: Prediction) -> None:
        """Add the next product."""
        number = -1
        if self.every or prediction.path:
            best = ChosenCategory(prediction.best, prediction.best_id)
            chosen = best if self.every else ChosenCategory(prediction.path, prediction.path_id)
            number = self._numbers.setdefault(chosen, len(self._categories))
            if number == len(self._categories):
                self._categories.append(chosen)
        self.decided += bool(prediction.path)
        self._category.append(number)
        self._decision.append(_DECISIONS.index(prediction.decision))
        self._confidence.append(prediction.path_confidence)

    def added(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """The same predictions, each added."""
        for prediction in predictions:
            self.add(prediction)
            yield prediction

    def category(self, product: int) -> ChosenCategory | None:
        """The category that is written for a product; None where it stays as it is."""
        number = self._category[product]
        return None if number < 0 else self._categories[number]

    def decision(self, product: int) -> str:
        """How a product was decided: accept, partial or review."""
        return _DECISIONS[self._decision[product]]

    def confidence(self, product: int) -> float:
        """The confidence of a product's path, and in review of its best path."""
        return self._confidence[product]
