"""Results of the MCP tools that no HTTP route has."""

from aisle.server.schemas.common import ResponseModel


class WordOut(ResponseModel):
    """A word, or a group of adjacent words, and the drop in the log-odds without it."""

    word: str
    weight: float


class NearestOut(ResponseModel):
    """A training product: its category, its cosine similarity, and the view that is compared."""

    path: list[str]
    similarity: float
    view: str


class ExplanationOut(ResponseModel):
    """Why the model predicts `path`, with its `confidence`. Weights are differences of the log-odds of
    `path`: of each word without it, and of each view. `nearest`: the most similar training
    products; `seen`: whether the model was trained on this product."""

    id: str
    path: list[str]
    confidence: float
    words: list[WordOut]
    views: dict[str, float]
    nearest: list[NearestOut]
    seen: bool | None
