"""Findings that need the tree alone: names and depth."""

from collections import defaultdict
from collections.abc import Iterator
from difflib import SequenceMatcher

import numpy as np

from aisle.evaluation.tree_check.findings import TreeFinding
from aisle.mapping.sides import words
from aisle.taxonomy import Taxonomy, format_path

_MIN_SIMILARITY = 0.93  # of the letters of two words: a spelling mistake in a long one
_MOST_SIBLINGS = 400  # that are compared in pairs
_MAX_EXAMPLES = 6


def name_findings(tree: Taxonomy, counts: np.ndarray) -> Iterator[TreeFinding]:
    """Names that occur twice: under different parents, the same parent, and below each other.

    Args:
        tree: M nodes.
        counts: (M,) products in each branch.
    """
    by_name: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, node in enumerate(tree.nodes):
        by_name[_key(node.name)].append(i)
    for nodes in by_name.values():
        unrelated = [
            n
            for n in nodes
            if not any(_is_below(tree, n, other) or _is_below(tree, other, n) for other in nodes)
        ]
        if len({int(tree.parent[n]) for n in unrelated}) > 1:
            yield _same_name(tree, counts, unrelated)
    for parent, children in _families(tree):
        if parent >= 0:
            yield from _like_parent(tree, counts, parent, children)
        yield from _similar_siblings(tree, counts, children)


def _key(name: str) -> tuple[str, ...]:
    return tuple(sorted(words(name))) or (name.casefold(),)


def _is_below(tree: Taxonomy, node: int, other: int) -> bool:
    return node != other and other in tree.lineage(node)


def _families(tree: Taxonomy) -> Iterator[tuple[int, list[int]]]:
    yield -1, [int(n) for n in tree.level(1)]
    for parent, children in enumerate(tree.children):
        if children:
            yield parent, list(children)


def _same_name(tree: Taxonomy, counts: np.ndarray, nodes: list[int]) -> TreeFinding:
    paths = _paths(tree, nodes)
    parents = [tree.nodes[n].path[-2:-1] for n in nodes]
    qualified = " or ".join(
        repr(f"{parent[0]}: {tree.nodes[n].name}") for n, parent in zip(nodes, parents, strict=True) if parent
    )
    first = qualified.split(" or ")[0] if qualified else repr(tree.nodes[nodes[0]].name)
    return TreeFinding(
        kind="same name",
        categories=paths,
        message=f"{len(nodes)} categories are called {tree.nodes[nodes[0]].name!r}",
        proposal=f"merge them if they mean the same, else say which one each is, such as {first}",
        examples=paths[:_MAX_EXAMPLES],
        products=int(counts[nodes].sum()),
    )


def _like_parent(
    tree: Taxonomy, counts: np.ndarray, parent: int, children: list[int]
) -> Iterator[TreeFinding]:
    for child in children:
        if _key(tree.nodes[child].name) == _key(tree.nodes[parent].name):
            yield TreeFinding(
                kind="repeats its parent",
                categories=_paths(tree, [child]),
                message=f"{tree.nodes[child].name!r} lies below a category of the same name",
                proposal="move its products to the parent, or name what sets it apart",
                products=int(counts[child]),
            )


def _similar_siblings(tree: Taxonomy, counts: np.ndarray, children: list[int]) -> Iterator[TreeFinding]:
    if len(children) > _MOST_SIBLINGS:
        return
    keys = [" ".join(_key(tree.nodes[n].name)) for n in children]
    for i, key in enumerate(keys):
        for j in range(i + 1, len(keys)):
            if _similar(key, keys[j]):
                pair = sorted((children[i], children[j]), key=lambda n: -counts[n])
                yield TreeFinding(
                    kind="alike siblings",
                    categories=_paths(tree, pair),
                    message=f"{' and '.join(repr(tree.nodes[n].name) for n in pair)} are similar siblings",
                    proposal=f"merge them into {tree.nodes[pair[0]].name!r}, or name what sets them apart",
                    products=int(counts[pair].sum()),
                )


def _similar(name: str, other_name: str) -> bool:
    if name == other_name:
        return True
    first, second = name.split(), other_name.split()
    if len(first) != len(second):
        return name.replace(" ", "") == other_name.replace(" ", "")
    return all(a == b or _misspelt(a, b) for a, b in zip(first, second, strict=True))


def _misspelt(word: str, other_word: str) -> bool:
    """Whether two words are one, misspelt; numbers never are."""
    if any(char.isdigit() for char in word + other_word):
        return False
    matcher = SequenceMatcher(None, word, other_word)
    return matcher.real_quick_ratio() >= _MIN_SIMILARITY and matcher.ratio() >= _MIN_SIMILARITY


def depth_findings(tree: Taxonomy, counts: np.ndarray, max_depth: int) -> Iterator[TreeFinding]:
    """Branches with more levels than `max_depth`, and levels that hold a single category."""
    for node in tree.level(max_depth):
        last = max(
            (n for n in range(int(node), len(tree)) if int(node) in tree.lineage(n)), default=int(node)
        )
        deeper = list(range(int(node) + 1, last + 1))
        if deeper:
            levels = int(tree.node_depth[deeper].max())
            yield TreeFinding(
                kind="too deep",
                categories=_paths(tree, [int(node)]),
                message=f"it has {levels} levels; {len(deeper)} categories are below level {max_depth}",
                proposal="move the categories below it up, or turn the lowest level into attributes",
                examples=_paths(tree, deeper)[:_MAX_EXAMPLES],
                products=int(counts[node]),
            )
    for parent, children in enumerate(tree.children):
        if len(children) == 1 and not tree.nodes[parent].assignable:
            only = repr(tree.nodes[children[0]].name)
            yield TreeFinding(
                kind="single child",
                categories=_paths(tree, [parent]),
                message=f"{only} is all that lies below it",
                proposal=f"drop one of the two levels, or add siblings of {only}",
                products=int(counts[parent]),
            )


def _paths(tree: Taxonomy, nodes: list[int]) -> tuple[str, ...]:
    return tuple(format_path(tree.nodes[n].path) for n in nodes)
