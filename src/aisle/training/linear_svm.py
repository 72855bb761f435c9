"""What words say by themselves, all of them, added to what was learned along the axes.

Axes keep what many rows share; a word that only a few have lies across all of them and is cut off. A linear
support vector machine over every feature of the lexical views knows it, and is linear too: its scores are
one more part of the sum that is folded into one head (docs/lab-notes.md has what that is worth).
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from aisle.inference.input_pipeline import Reader
from aisle.models.encoders import Lexical
from aisle.models.registry import Context
from aisle.progress import Progress
from aisle.training.data import Lesson
from aisle.training.pca import sparse_rows
from aisle.training.pca_training import Room, ViewRows
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
        scale = recipe.views[name].scale
        features = reader.model.encoders[name].table.num_embeddings  # type: ignore[union-attr]
        blocks.append(sparse.vstack([sparse_rows(part, features) for part in rows]) * np.float32(scale))
    x: Any = sparse.hstack(blocks).tocsr()
    tree = context.taxonomy
    n, names = len(tree.terminals), context.class_vectors[tree.terminals]  # (N, C)
    room = Room(reader.store.folder if reader.store else None)
    weights = room.empty((x.shape[1], n + names.shape[1]))
    place = np.where(lesson.targets.exact, tree.terminal_of[lesson.targets.node], -1)
    with progress("learning from words", n, "categories") as advance:
        _, offset = squared_hinge(
            x, place, n, recipe.words.penalty, lesson.weights, weights[:, :n], advance, recipe.seed
        )
    # What names tell of it, so that a category added later is not at a disadvantage.
    told = np.linalg.solve(names.T @ names + NAMES * np.eye(names.shape[1], dtype=np.float32), names.T).T
    for start in range(0, len(weights), _BLOCK):
        some = weights[start : start + _BLOCK]
        some[:, :n] *= recipe.words.strength
        some[:, n:] = some[:, :n] @ told
    said, parts, start = np.asarray(x[sample] @ weights), {}, 0
    for name, block in zip(views, blocks, strict=True):
        parts[name] = weights[start : start + block.shape[1]]
        parts[name] *= np.float32(recipe.views[name].scale)
        start += block.shape[1]
    return Words(parts, offset * np.float32(recipe.words.strength), said)
