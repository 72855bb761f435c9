"""Mapping of labels to categories: of the tree that the labels make, or of an official tree."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from aisle.data.label_styles import DELIMITERS, detect, detect_in_columns, unread_sign
from aisle.data.labels import LabelStyle, Parsed, parse
from aisle.data.text import fold_spelling
from aisle.encodings import decode_entities
from aisle.errors import did_you_mean
from aisle.taxonomy import CategoryPath, Taxonomy, format_path

_SUGGESTED = 500  # distinct unknown labels that get a "did you mean": each costs a search of the tree


class LabelMapping(NamedTuple):
    """The categories of K distinct labels.

    Attributes:
        taxonomy: The category tree; None without any label.
        style: How the labels are written.
        categories: The acceptable paths of each label.
        node: (K,) the node of the first path, -1 where unknown.
        exact: (K,) whether products can end at that node.
        messages: Label number -> what is wrong with it.
        variants: A spelling -> the one it is read as.
        official: Whether the tree was given.
        ancestors: Numbers of the labels that list ancestors of their categories too; these are left out.
        unread_sign: A sign that every label holds and that separates nothing.
    """

    taxonomy: Taxonomy | None
    style: LabelStyle
    categories: tuple[tuple[CategoryPath, ...], ...]
    node: np.ndarray
    exact: np.ndarray
    messages: Mapping[int, str]
    variants: Mapping[CategoryPath, CategoryPath]
    official: bool = False
    ancestors: frozenset[int] = frozenset()
    unread_sign: str | None = None


def map_labels(
    labels: Mapping[str, int],
    taxonomy: Taxonomy | None,
    delimiter: str | None = None,
    separator: str | None = None,
) -> LabelMapping:
    """Read a column of distinct labels (with counts), in the order given."""
    style = detect(labels, delimiter, separator)
    if taxonomy is None:
        sign = unread_sign(labels, style) if delimiter is None else None
        return _spanned(labels, style)._replace(unread_sign=sign)
    if delimiter is None:
        style = _fitting(list(labels)[:2000], taxonomy, style, separator)
    return _official(labels, taxonomy, style)._replace(official=True)


def map_label_columns(labels: Mapping[str, int], taxonomy: Taxonomy | None) -> LabelMapping:
    """Read the labels of several columns, whose cells `LEVEL_MARK` joins."""
    style = detect_in_columns(labels)
    if taxonomy is None:
        return _spanned(labels, style)
    return _official(labels, taxonomy, style)._replace(official=True)


def _spanned(labels: Mapping[str, int], style: LabelStyle) -> LabelMapping:
    parsed = [parse(label, style) for label in labels]
    listed = frozenset(i for i, one in enumerate(parsed) if len(_deepest(one.paths)) < len(one.paths))
    parsed = [Parsed(_deepest(one.paths), one.problem) for one in parsed]
    counts: Counter[CategoryPath] = Counter()
    for one, count in zip(parsed, labels.values(), strict=True):
        for path in one.paths:
            counts[path] += count
    best = _spelling(counts)
    categories = [tuple(dict.fromkeys(best(path) for path in one.paths)) for one in parsed]
    odd = {i: one.problem for i, one in enumerate(parsed) if one.problem}
    variants = {path: best(path) for path in counts if best(path) != path}
    for i, one in enumerate(parsed):
        if i not in odd and one.paths and one.paths[0] in variants:
            odd[i] = f"differs only in case or spacing; read as {format_path(variants[one.paths[0]])!r}"
    paths = {path for several in categories for path in several}
    taxonomy = Taxonomy.from_paths(paths) if paths else None
    node = [taxonomy.index(several[0]) if taxonomy and several else -1 for several in categories]
    return LabelMapping(
        taxonomy,
        style,
        tuple(categories),
        np.array(node, np.int64),
        np.ones(len(node), bool),
        odd,
        variants,
        ancestors=listed,
    )


def _deepest(paths: tuple[CategoryPath, ...]) -> tuple[CategoryPath, ...]:
    """The paths of one label that no other of its paths goes on from."""
    if len(paths) < 2:
        return paths
    keys = [tuple(fold_spelling(name) for name in path) for path in paths]
    above = {key[:depth] for key in keys for depth in range(1, len(key))}
    return tuple(path for path, key in zip(paths, keys, strict=True) if key not in above)


def _spelling(counts: Mapping[CategoryPath, int]) -> Callable[[CategoryPath], CategoryPath]:
    """Reads each name as its commonest spelling under the same parent ("SHOES " as "Shoes")."""
    seen: defaultdict[CategoryPath, Counter[str]] = defaultdict(Counter)
    for path, count in counts.items():
        key = tuple(fold_spelling(name) for name in path)
        for depth, name in enumerate(path, 1):
            seen[key[:depth]][name] += count
    chosen = {key: min(names, key=lambda n: (-names[n], n)) for key, names in seen.items()}

    def best(path: CategoryPath) -> CategoryPath:
        key = tuple(fold_spelling(name) for name in path)
        return tuple(chosen[key[:depth]] for depth in range(1, len(path) + 1))

    return best


def _fitting(labels: list[str], taxonomy: Taxonomy, guess: LabelStyle, separator: str | None) -> LabelStyle:
    """The style under which most labels are in the tree; the column's own guess wins a tie."""
    tried = [guess]
    roots = frozenset(fold_spelling(node.path[0]) for node in taxonomy.nodes)
    for mark in DELIMITERS:
        for spaced in (True, False):
            for leaf_first in (False, True) if mark == "<" else (False,):
                tried.append(LabelStyle(mark, spaced, separator or guess.separator, leaf_first, roots))
    found = [sum(_look_up(label, taxonomy, style)[1] == "" for label in labels) for style in tried]
    return tried[int(np.argmax(found))]


def _official(labels: Mapping[str, int], taxonomy: Taxonomy, style: LabelStyle) -> LabelMapping:
    node = np.full(len(labels), -1, dtype=np.int64)
    exact = np.ones(len(labels), dtype=bool)
    categories: list[tuple[CategoryPath, ...]] = []
    odd: dict[int, str] = {}
    suggested = 0
    ancestors: set[int] = set()
    for i, label in enumerate(labels):
        nodes, what = _look_up(label, taxonomy, style)
        if len(nodes) > 1:
            paths = _deepest(tuple(taxonomy.nodes[n].path for n in nodes))
            deepest = [n for n in nodes if taxonomy.nodes[n].path in paths]
            if len(deepest) < len(nodes):
                nodes = deepest
                ancestors.add(i)
        if what:
            odd[i] = what
        if nodes:
            node[i] = nodes[0]
            exact[i] = taxonomy.terminal_of[nodes[0]] >= 0
        elif what and suggested < _SUGGESTED:
            suggested += 1
            odd[i] += _suggestion(label, taxonomy, style)
        categories.append(tuple(taxonomy.nodes[n].path for n in nodes))
    listed = frozenset(ancestors)
    return LabelMapping(taxonomy, style, tuple(categories), node, exact, odd, {}, ancestors=listed)


def _look_up(label: str, taxonomy: Taxonomy, style: LabelStyle) -> tuple[list[int], str]:
    """The nodes a label names, and what is wrong with it (empty: nothing)."""
    whole = taxonomy.find(label.strip())  # an id, and ids may hold any sign
    if whole is None and "&" in label:
        whole = taxonomy.find(decode_entities(label).strip())
    if whole is not None:
        return [whole], ""
    paths, problem = parse(label, style)
    nodes: list[int] = []
    for path in paths:
        found = taxonomy.find(path)
        if found is None and len(path) == 1:
            found = taxonomy.find("".join(path))  # one of several ids
        if found is None:
            found = _spelled_index(taxonomy).get(tuple(fold_spelling(name) for name in path))
            if found is not None and not problem:
                read = format_path(taxonomy.nodes[found].path)
                problem = f"differs from the tree in case or spacing; read as {read!r}"
        if found is None:
            problem = f"is not in the tree ({len(taxonomy)} nodes)"
        else:
            nodes.append(found)
    return list(dict.fromkeys(nodes)), problem


_INDEXES: dict[str, dict[CategoryPath, int]] = {}


def _spelled_index(taxonomy: Taxonomy) -> dict[CategoryPath, int]:
    """Nodes by the spelling of their path and by the whole path run together."""
    if taxonomy.fingerprint not in _INDEXES:
        _INDEXES.clear()  # one tree at a time is what a process uses
        index: dict[CategoryPath, int] = {}
        for i, node in enumerate(taxonomy.nodes):
            index.setdefault(tuple(fold_spelling(decode_entities(name)) for name in node.path), i)
        _INDEXES[taxonomy.fingerprint] = index
    return _INDEXES[taxonomy.fingerprint]


@lru_cache(1)
def _named_index(taxonomy: Taxonomy) -> dict[str, list[int]]:
    """Nodes by the spelling of their own name."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for i, node in enumerate(taxonomy.nodes):
        found[fold_spelling(node.name)].append(i)
    return found


def _suggestion(label: str, taxonomy: Taxonomy, style: LabelStyle) -> str:
    """` Did you mean …?`: looked for among the nodes that share most letter triples with the label."""
    paths = parse(label, style).paths
    text = format_path(paths[0]) if paths else label
    same = _named_index(taxonomy).get(fold_spelling(paths[0][-1]), ()) if paths else ()
    if len(same) == 1:  # the right name, under another path or none
        return f". Did you mean {format_path(taxonomy.nodes[same[0]].path)!r}?"
    names, lengths, where = _triple_index(taxonomy)
    hits = [where[triple] for triple in _triples(text) if triple in where]
    if not hits:
        return ""
    shared = np.bincount(np.concatenate(hits), minlength=len(names)) / (lengths + len(text))
    near = [names[i] for i in np.argsort(-shared, kind="stable")[:30]]
    suggested = did_you_mean(text, near)
    return f".{suggested}" if suggested else ""


class _Triples(NamedTuple):
    """N names, their lengths (N,), and for each letter triple the numbers of the names that hold it."""

    names: list[str]
    lengths: np.ndarray
    where: dict[str, np.ndarray]


@lru_cache(1)
def _triple_index(taxonomy: Taxonomy) -> _Triples:
    """Of the nodes' paths and ids."""
    names = list(dict.fromkeys(name for node in taxonomy.nodes for name in (format_path(node.path), node.id)))
    where: defaultdict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        for triple in _triples(name):
            where[triple].append(i)
    lengths = np.array([len(name) for name in names])
    return _Triples(names, lengths, {triple: np.array(found) for triple, found in where.items()})


def _triples(text: str) -> set[str]:
    text = f"  {text.casefold()} "
    return {text[i : i + 3] for i in range(len(text) - 2)}
