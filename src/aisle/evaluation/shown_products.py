"""Single products that a report shows: examples, their explanations, and changed predictions."""

from typing import Literal

from pydantic import Field

from aisle.evaluation.scores import ConfidenceInterval, ResultRecord


class Thumbnail(ResultRecord):
    """The first image of an example.

    Attributes:
        state: Whether there is an image, and whether it can be decoded.
        reason: Why it cannot be decoded.
        src: A data URI for the page; not written to JSON.
    """

    state: Literal["shown", "broken", "none"]
    reason: str = ""
    src: str | None = Field(default=None, exclude=True)


class Guess(ResultRecord):
    """One of the most probable full paths."""

    path: tuple[str, ...]
    confidence: float


class Word(ResultRecord):
    """A word, and the log-odds that the prediction loses without it."""

    word: str
    weight: float


class ExplanationView(ResultRecord):
    """Why a product got its prediction.

    Attributes:
        words: The words of the largest weights.
        views: The log-odds that the prediction loses without each view.
        heat: A heat map over the image; not written to JSON.
    """

    words: tuple[Word, ...]
    views: dict[str, float]
    heat: Thumbnail = Field(default=Thumbnail(state="none"), exclude=True)


class EvaluatedProduct(ResultRecord):
    """A product with its label and its prediction.

    Attributes:
        label: The primary category.
        also: Further acceptable categories.
        guesses: The most probable full paths.
        confidence: The confidence at each level of `guesses[0]`.
        reason: Why it was decided so, or left for review; blank for a model without decisions.
        explained: The explanation; null if none was requested.
    """

    id: str
    title: str
    text: str
    image: Thumbnail
    label: tuple[str, ...]
    also: tuple[tuple[str, ...], ...]
    guesses: tuple[Guess, ...]
    confidence: tuple[float, ...]
    right: bool
    reason: str = ""
    explained: ExplanationView | None = None


class Examples(ResultRecord):
    """Examples of predictions.

    Attributes:
        best: Right, of highest confidence.
        worst: Wrong, of highest confidence.
        confused: The two best guesses nearly tie.
    """

    best: tuple[EvaluatedProduct, ...] = ()
    worst: tuple[EvaluatedProduct, ...] = ()
    confused: tuple[EvaluatedProduct, ...] = ()


class ChangedPrediction(ResultRecord):
    """A product whose prediction changed with its title, before and after."""

    id: str
    title: str
    changed: str
    before: tuple[str, ...]
    after: tuple[str, ...]


class RobustnessScore(ResultRecord):
    """Predictions after a change that should not matter.

    Attributes:
        kind: The change, such as typos.
        products: The number of changed products.
        flipped: Share of these with another path.
        top: Share of these with another level-1 category.
        lost: Share of these whose prediction was right and is wrong now.
        won: Share of these whose prediction was wrong and is right now.
    """

    kind: str
    products: int
    flipped: ConfidenceInterval
    top: float
    lost: float
    won: float
    examples: tuple[ChangedPrediction, ...]
