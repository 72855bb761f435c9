"""Candidates of each category in the other tree, and what is known about each pair."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from aisle.mapping.sides import TreeSide
from aisle.mapping.similarity import (
    Encoder,
    Vectors,
    character_vectors,
    encoded,
    product_texts,
    size_of,
    word_vectors,
)

LEXICAL = (
    "null", "name_words", "name_characters", "path_words", "path_characters", "parent_characters",
    "top_characters", "same_name", "ancestor_characters", "parent_is_name", "name_in_path", "path_in_name",
    "leaf", "depth_below", "depth_above",
)  # fmt: skip
EMBEDDED = ("name_embedding", "path_embedding", "ancestor_embedding")
PRODUCTS = ("product_words", "product_products")
STRUCTURE = (
    "parent_same", "parent_child", "parent_below", "parent_elsewhere", "children_below", "children_same",
    "parent_null",
)  # fmt: skip
NULL = -1  # the candidate "nothing there corresponds"
_NEAREST = 16
_OF_ANCESTORS = 6


@dataclass(frozen=True)
class TargetCandidates:
    """The candidates of S categories, and features of the pairs.

    Attributes:
        node: (S, K) nodes of the target tree; the first is NULL, and so are unused places.
        used: (S, K) bool.
        x: (S, K, F) features, in the order of `names`.
        names: the features.
    """

    node: np.ndarray
    used: np.ndarray
    x: np.ndarray
    names: tuple[str, ...]


def find_candidates(source: TreeSide, target: TreeSide, encoder: Encoder | None = None) -> TargetCandidates:
    """Candidates and features of all categories of a tree.

    Args:
        source: the tree whose categories are mapped.
        target: the tree they are mapped onto.
        encoder: of names and paths; without one these features are 0.
    """
    own, theirs = source.variants[0], target.variants
    languages = range(len(theirs))
    names = word_vectors(own, theirs), character_vectors(own, theirs)
    paths = source.paths(0), [target.paths(j) for j in languages]
    by_path = word_vectors(*paths), character_vectors(*paths)
    embedded = None if encoder is None else (encoded(encoder, own, theirs), encoded(encoder, *paths))
    titles = word_vectors(product_texts(source), [*paths[1]]) if source.texts else None
    nearest = [names[1].best(_NEAREST), names[0].best(_NEAREST), by_path[0].best(_NEAREST)]
    if embedded is not None:
        nearest += [embedded[0].best(_NEAREST), embedded[1].best(_NEAREST)]
    if titles is not None:
        nearest.append(titles.best(_OF_ANCESTORS))
    node, used = _tables(source, target, np.concatenate(nearest, 1))
    rows, places = np.nonzero(used & (node >= 0))
    columns = node[rows, places]
    x = np.zeros((*node.shape, len(LEXICAL) + len(EMBEDDED) + len(PRODUCTS)), np.float32)
    x[:, 0, 0] = 1
    lexical = _lexical(source, target, names, by_path, rows, columns)
    x[rows, places, 1 : len(LEXICAL)] = lexical
    if embedded is not None:
        at = slice(len(LEXICAL), len(LEXICAL) + len(EMBEDDED))
        x[rows, places, at] = _embedded(source, embedded, rows, columns)
    x[rows, places, -2:] = _of_products(source, target, titles, rows, columns)
    return TargetCandidates(node, used, x, (*LEXICAL, *EMBEDDED, *PRODUCTS))


def _tables(source: TreeSide, target: TreeSide, nearest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The candidates of each category: its nearest ones, their parents, and the nearest of those above it."""
    tree, rows = source.taxonomy, []
    parent = target.taxonomy.parent
    for node in range(len(tree)):
        found = dict.fromkeys(nearest[node].tolist())
        for above in tree.lineage(node)[:-1]:
            for block in range(0, nearest.shape[1], _NEAREST):
                found |= dict.fromkeys(nearest[above, block : block + _OF_ANCESTORS].tolist())
        found |= dict.fromkeys(int(parent[t]) for t in nearest[node, :_NEAREST].tolist() if parent[t] >= 0)
        rows.append([NULL, *found])
    width = max(map(len, rows))
    table, used = np.full((len(rows), width), NULL, np.int64), np.zeros((len(rows), width), bool)
    for k, row in enumerate(rows):
        table[k, : len(row)], used[k, : len(row)] = row, True
    return table, used


def _above(side: TreeSide, steps: int) -> np.ndarray:
    """(M,) the ancestor so many levels up, -1 beyond the top."""
    found = np.arange(len(side.taxonomy))
    for _ in range(steps):
        found = np.where(found >= 0, side.taxonomy.parent[found], -1)
    return found


def _where(vectors: Vectors, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(P,) similarities of pairs, 0 where one is -1."""
    found = np.zeros(len(rows), np.float32)
    known = np.flatnonzero((rows >= 0) & (columns >= 0))
    found[known] = vectors.pairs(rows[known], columns[known])
    return found


def _lexical(
    source: TreeSide,
    target: TreeSide,
    names: tuple[Vectors, Vectors],
    paths: tuple[Vectors, Vectors],
    rows: np.ndarray,
    columns: np.ndarray,
) -> np.ndarray:
    """(P, F) the features of LEXICAL after the first."""
    words, characters = names
    own, theirs = source.taxonomy, target.taxonomy
    tops = own.ancestors[:, 0], theirs.ancestors[:, 0]
    name_words = words.pairs(rows, columns)
    steps = [_where(characters, _above(source, k)[rows], columns) for k in range(1, own.depth)]
    ancestors = np.maximum.reduce(steps) if steps else np.zeros(len(rows), np.float32)
    down = own.node_depth[rows] - theirs.node_depth[columns]
    leaf = np.array([not below for below in theirs.children], np.float32)
    path_pairs = _coverage(words, paths[0], rows, columns)
    return np.stack(
        [
            name_words,
            characters.pairs(rows, columns),
            paths[0].pairs(rows, columns),
            paths[1].pairs(rows, columns),
            _where(characters, _above(source, 1)[rows], _above(target, 1)[columns]),
            characters.pairs(tops[0][rows], tops[1][columns]),
            name_words > 0.999,
            ancestors,
            _where(words, _above(source, 1)[rows], columns) > 0.999,
            *path_pairs,
            leaf[columns],
            np.maximum(-down, 0),
            np.maximum(down, 0),
        ],
        1,
    )


def _coverage(
    names: Vectors, paths: Vectors, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How much of each category's name is in the other's path, by squared weight of words.

    Words of names and of paths are the same, and so are the columns of both vectors.
    """
    name = sparse.csr_matrix(names.source)
    by_own, by_theirs = (
        _presence(paths.source, size_of(name)[1]),
        [_presence(t, size_of(name)[1]) for t in paths.target],
    )
    first = np.maximum.reduce([_rows(name.power(2)[rows], t[columns]) for t in by_theirs])
    second = np.maximum.reduce(
        [_rows(sparse.csr_matrix(t).power(2)[columns], by_own[rows]) for t in names.target]
    )
    return first, second


def _presence(vectors: "sparse.csr_matrix | np.ndarray", width: int) -> sparse.csr_matrix:
    found = sparse.csr_matrix(vectors, copy=True)
    found.data = np.ones_like(found.data)
    assert size_of(found)[1] == width
    return found


def _rows(left: sparse.csr_matrix, right: sparse.csr_matrix) -> np.ndarray:
    return np.asarray(left.multiply(right).sum(1)).ravel()


def _embedded(
    source: TreeSide, vectors: tuple[Vectors, Vectors], rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    names, paths = vectors
    return np.stack(
        [
            names.pairs(rows, columns),
            paths.pairs(rows, columns),
            _where(names, _above(source, 1)[rows], columns),
        ],
        1,
    )


def _of_products(
    source: TreeSide, target: TreeSide, titles: Vectors | None, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """(P, 2) likeness of the category's products to the candidate's path, and to its products."""
    by_path = np.zeros(len(rows)) if titles is None else titles.pairs(rows, columns)
    if not (source.texts and target.texts):
        return np.stack([by_path, np.zeros(len(rows))], 1)
    both = word_vectors(product_texts(source), [product_texts(target)])
    return np.stack([by_path, both.pairs(rows, columns)], 1)
