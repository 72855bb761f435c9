"""What words say by themselves, all of them, added to what was learned along the axes.

Axes keep what many rows share; a word that only a few have lies across all of them and is cut off. A linear
support vector machine over every feature of the lexical views knows it, and is linear too: its scores are
one more part of the sum that is folded into one head (docs/lab-notes.md has what that is worth).
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from aisle.inference.encode import Reader
from aisle.model.encoders import Lexical
from aisle.model.parts import Context
from aisle.progress import Progress
from aisle.training.along import ViewRows
from aisle.training.axes import sparse_rows
from aisle.training.data import Lesson
from aisle.training.recipe import Recipe
from aisle.training.ridge import NAMES
from aisle.training.svm import squared_hinge

_BLOCK = 16_384


class Words(NamedTuple):
    """By lexical view, weights (F, N + C) of N terminals' logits and of C features that a name is compared
    with; offsets (N,); and what all of them say of a sample of rows: `said` (n, N + C)."""

    weights: dict[str, np.ndarray]
    offset: np.ndarray
    said: np.ndarray


def lexical(reader: Reader, recipe: Recipe) -> list[str]:
    """The views of words that have axes."""
    return [n for n, v in recipe.views.items() if v.axes and isinstance(reader.model.encoders[n], Lexical)]


def learn_words(
    reader: Reader, lesson: Lesson, recipe: Recipe, context: Context, sample: np.ndarray, progress: Progress
) -> Words | None:
    """The lexical views that have axes, by all their features; None where the recipe has none.

    sample: numbers of rows of which to tell what was learned.
    """
    views = lexical(reader, recipe)
    if recipe.words is None or not views:
        return None
    blocks = []
    for name in views:
        view = ViewRows(reader, name, lesson.products, progress)
        starts = range(0, len(lesson.products), _BLOCK)
        rows = [view(np.arange(i, min(i + _BLOCK, len(lesson.products)))) for i in starts]
        scale, features = recipe.views[name].scale, reader.preparers[name].size  # type: ignore[attr-defined]
        blocks.append(sparse.vstack([sparse_rows(part, features) for part in rows]) * np.float32(scale))
    x, tree = sparse.hstack(blocks).tocsr(), context.taxonomy
    place = np.where(lesson.targets.exact, tree.terminal_of[lesson.targets.node], -1)
    with progress("learning from words", len(tree.terminals), "categories") as advance:
        weights, offset = squared_hinge(
            x, place, len(tree.terminals), recipe.words.penalty, lesson.weights, advance, recipe.seed
        )
    weights *= recipe.words.strength
    names = np.asarray(context.class_vectors)[tree.terminals]  # (N, C)
    inner = names.T @ names + NAMES * np.eye(names.shape[1], dtype=np.float32)
    # What names tell of it, so that a category added later is not at a disadvantage.
    weights = np.concatenate([weights, np.linalg.solve(inner, names.T @ weights.T).T.astype(np.float32)], 1)
    said = np.asarray(x[sample] @ weights)
    ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
    parts = {
        name: part * np.float32(recipe.views[name].scale)
        for name, part in zip(views, np.split(weights, ends), strict=True)
    }
    return Words(parts, offset * recipe.words.strength, said)
