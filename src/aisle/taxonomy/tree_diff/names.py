"""Names of categories as folded words and as sparse vectors of character n-grams."""

import copy
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse

from aisle.encodings import fold_accents
from aisle.taxonomy.plurals import singular
from aisle.taxonomy.tree import Taxonomy

_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")  # Thai, Lao, Japanese, Chinese
_BLOCK = 512  # rows of a similarity matrix at a time
_STOP = frozenset({"and", "or", "the", "of", "for", "with", "in", "a", "by"})


@lru_cache(maxsize=1 << 17)
def folded(name: str) -> str:
    """A name without case, accents, punctuation and repeated spaces; `&` is `and`.

    A name of punctuation alone stays as it is.
    """
    text = fold_accents(name.replace("&", " and ").replace("+", " and "))
    return " ".join(_WORD.findall(unicodedata.normalize("NFC", text))) or name.strip()


def folded_path(path: Sequence[str]) -> tuple[str, ...]:
    """Every name of a path, folded."""
    return tuple(map(folded, path))


@lru_cache(maxsize=1 << 17)
def words(name: str) -> frozenset[str]:
    """The words of a name that carry meaning, plurals as singulars; characters where words are not spaced."""
    tokens = _UNSPACED.sub(r" \g<0> ", folded(name)).split()
    return frozenset(map(singular, (word for word in tokens if word not in _STOP or len(tokens) == 1)))


class NameVectors:
    """Unit TF-IDF vectors of names, in one space for both trees.

    Attributes:
        old: (M, F) character n-grams of the old nodes' names.
        new: (M', F) the same of the new nodes.
        old_words, new_words: (M, V) words of the names, not unit: the rarer a word, the higher its weight.
        old_above, new_above: (M, V) words of the names above each node; zero at the top level.
        old_below, new_below: (M, V) words of the names below each node; zero for leaves.
    """

    def __init__(self, old: Taxonomy, new: Taxonomy) -> None:
        from sklearn.feature_extraction import text

        names = [[folded(node.name) for node in tree.nodes] for tree in (old, new)]
        distinct = sorted({*names[0], *names[1]})
        index = {name: i for i, name in enumerate(distinct)}
        vectorizers: Any = text
        letters = vectorizers.TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, lowercase=False, dtype=np.float32
        )
        table: Any = sparse.csr_matrix(letters.fit_transform(distinct))
        rows = [np.array([index[name] for name in part]) for part in names]
        self.old, self.new = table[rows[0]], table[rows[1]]
        bag = vectorizers.CountVectorizer(
            analyzer=lambda name: sorted(words(name)), dtype=np.float32, lowercase=False
        )
        tokens: Any = sparse.csr_matrix(bag.fit_transform(distinct))
        weight = np.log1p(
            len(distinct) / np.maximum(np.bincount(tokens.indices, minlength=tokens.shape[1]), 1)
        )
        tokens = tokens @ sparse.diags(weight.astype(np.float32))
        self.old_words, self.new_words = tokens[rows[0]], tokens[rows[1]]
        self.old_above, self.new_above = (
            _unit(_above(tree) @ part) for tree, part in ((old, self.old_words), (new, self.new_words))
        )
        self.old_below, self.new_below = (
            _unit(_above(tree).T @ part) for tree, part in ((old, self.old_words), (new, self.new_words))
        )

    def swapped(self) -> "NameVectors":
        """The same with the trees exchanged."""
        other = copy.copy(self)
        other.old, other.new = self.new, self.old
        other.old_words, other.new_words = self.new_words, self.old_words
        other.old_above, other.new_above = self.new_above, self.old_above
        other.old_below, other.new_below = self.new_below, self.old_below
        return other


def _above(tree: Taxonomy) -> Any:
    """(M, M) 1 where the column's node is above the row's."""
    table = tree.ancestors
    row, level = np.nonzero((table >= 0) & (np.arange(table.shape[1]) < tree.node_depth[:, None] - 1))
    ones = np.ones(len(row), np.float32)
    return sparse.csr_matrix((ones, (row, table[row, level])), (len(tree), len(tree)))


def _unit(rows: Any) -> Any:
    rows = sparse.csr_matrix(rows, dtype=np.float32)
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel())
    return sparse.csr_matrix(sparse.diags((1 / np.maximum(length, 1e-9)).astype(np.float32)) @ rows)


def pair_cosine(left: Any, right: Any, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(P,) dot products of `left[rows]` and `right[columns]`."""
    return np.asarray(left[rows].multiply(right[columns]).sum(1)).ravel()


def most_similar(left: Any, right: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows: for each row of `left` the `count` most similar rows of `right` (sparse, unit rows)."""
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    transposed = sparse.csc_matrix(right.T)
    for start in range(0, left.shape[0], _BLOCK):
        cosines = np.asarray((left[start : start + _BLOCK] @ transposed).todense())
        kept = min(count, cosines.shape[1])
        if not kept:
            break
        best = np.argpartition(-cosines, kept - 1, axis=1)[:, :kept]
        row, position = np.nonzero(np.take_along_axis(cosines, best, 1) > 0)
        rows.append(row + start)
        columns.append(best[row, position])
    empty = np.zeros(0, np.int64)
    return np.concatenate([empty, *rows]), np.concatenate([empty, *columns])
