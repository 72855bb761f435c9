"""Findings about a category tree."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

FindingKind = Literal[
    "same name", "alike siblings", "repeats its parent", "empty leaf", "tiny leaf", "confused leaves",
    "catch-all with clusters", "too deep", "single child",
]  # fmt: skip
KINDS: dict[FindingKind, str] = {
    "same name": "Categories of one name under different parents",
    "alike siblings": "Sibling categories with nearly the same name",
    "repeats its parent": "Categories with the name of their parent",
    "empty leaf": "Leaves without products",
    "tiny leaf": "Leaves with few products",
    "confused leaves": "Leaves that a model cannot tell apart",
    "catch-all with clusters": "Catch-all categories that hold clear clusters",
    "too deep": "Branches that are too deep",
    "single child": "Categories with a single child",
}


class TreeFinding(BaseModel):
    """A finding.

    Attributes:
        kind: one of KINDS.
        categories: paths of the categories in question.
        message: what is wrong.
        proposal: what to do.
        examples: paths, or titles of products.
        products: the number of products concerned.
    """

    model_config = ConfigDict(frozen=True)

    kind: FindingKind
    categories: tuple[str, ...]
    message: str
    proposal: str
    examples: tuple[str, ...] = ()
    products: int = 0
