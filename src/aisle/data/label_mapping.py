"""Maps labels to categories: of an official tree, or of the tree that the labels form."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from aisle.data.label_styles import DELIMITERS, detect_style, detect_style_of_columns, unread_sign
from aisle.data.labels import LabelStyle, parse_label
from aisle.data.text import fold_spelling
from aisle.encodings import decode_entities
from aisle.errors import did_you_mean
from aisle.taxonomy import CategoryPath, Taxonomy, format_path

_SUGGESTED = 500  # distinct unknown labels with a suggestion; each needs a search of the tree


class LabelMapping(NamedTuple):
    """The categories of K distinct labels.

    Attributes:
        taxonomy: The category tree; None without any label.
        style: How the labels are written.
        categories: The acceptable paths of each label.
        node: (K,) node of the first path, -1 if unknown.
        exact: (K,) whether products may be assigned to that node.
        messages: Label number -> what is wrong with it.
        variants: Spelling of a path -> the spelling it is read as.
        official: Whether the tree was given.
        ancestors: Numbers of the labels that list ancestors of their categories, which are left out.
        unread_sign: A character that every label contains and that is not read as a delimiter.
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
    """Map the distinct labels of one column, with their counts."""
    style = detect_style(labels, delimiter, separator)
    if taxonomy is None:
        sign = unread_sign(labels, style) if delimiter is None else None
        return _map_to_own_tree(labels, style)._replace(unread_sign=sign)
    if delimiter is None:
        style = _fit_style(list(labels)[:2000], taxonomy, style, separator)
    return _map_to_tree(labels, taxonomy, style)._replace(official=True)


def map_label_columns(labels: Mapping[str, int], taxonomy: Taxonomy | None) -> LabelMapping:
    """Map the distinct labels of level columns, whose cells are joined by `LEVEL_MARK`."""
    style = detect_style_of_columns(labels)
    if taxonomy is None:
        return _map_to_own_tree(labels, style)
    return _map_to_tree(labels, taxonomy, style)._replace(official=True)


def _map_to_own_tree(labels: Mapping[str, int], style: LabelStyle) -> LabelMapping:
    parsed = [parse_label(label, style) for label in labels]
    deepest = [_deepest(label.paths) for label in parsed]
    lists_ancestors = frozenset(
        i
        for i, (label, paths) in enumerate(zip(parsed, deepest, strict=True))
        if len(paths) < len(label.paths)
    )
    counts: Counter[CategoryPath] = Counter()
    for paths, count in zip(deepest, labels.values(), strict=True):
        for path in paths:
            counts[path] += count
    respell = _most_frequent_spelling(counts)
    categories = [tuple(dict.fromkeys(map(respell, paths))) for paths in deepest]
    messages = {i: label.problem for i, label in enumerate(parsed) if label.problem}
    variants = {path: respell(path) for path in counts if respell(path) != path}
    for i, paths in enumerate(deepest):
        if i not in messages and paths and paths[0] in variants:
            read = format_path(variants[paths[0]])
            messages[i] = f"differs only in case or spacing; read as {read!r}"
    taxonomy = Taxonomy.from_paths({path for paths in categories for path in paths}) if counts else None
    node = [taxonomy.index(paths[0]) if taxonomy and paths else -1 for paths in categories]
    return LabelMapping(
        taxonomy,
        style,
        tuple(categories),
        np.array(node, np.int64),
        np.ones(len(node), bool),
        messages,
        variants,
        ancestors=lists_ancestors,
    )


def _deepest(paths: tuple[CategoryPath, ...]) -> tuple[CategoryPath, ...]:
    """The paths of one label without those that are ancestors of others."""
    if len(paths) < 2:
        return paths
    keys = [tuple(fold_spelling(name) for name in path) for path in paths]
    ancestors = {key[:depth] for key in keys for depth in range(1, len(key))}
    return tuple(path for path, key in zip(paths, keys, strict=True) if key not in ancestors)


def _most_frequent_spelling(counts: Mapping[CategoryPath, int]) -> Callable[[CategoryPath], CategoryPath]:
    """A function that replaces each name by its most frequent spelling under the same parent."""
    seen: defaultdict[CategoryPath, Counter[str]] = defaultdict(Counter)
    for path, count in counts.items():
        key = tuple(fold_spelling(name) for name in path)
        for depth, name in enumerate(path, 1):
            seen[key[:depth]][name] += count
    chosen = {key: min(names, key=lambda n: (-names[n], n)) for key, names in seen.items()}

    def respell(path: CategoryPath) -> CategoryPath:
        key = tuple(fold_spelling(name) for name in path)
        return tuple(chosen[key[:depth]] for depth in range(1, len(path) + 1))

    return respell


def _fit_style(labels: list[str], taxonomy: Taxonomy, guess: LabelStyle, separator: str | None) -> LabelStyle:
    """The style under which most labels are in the tree; `guess` wins a tie."""
    styles = [guess]
    roots = frozenset(fold_spelling(node.path[0]) for node in taxonomy.nodes)
    for mark in DELIMITERS:
        for spaced in (True, False):
            for leaf_first in (False, True) if mark == "<" else (False,):
                styles.append(LabelStyle(mark, spaced, separator or guess.separator, leaf_first, roots))
    matches = [sum(_look_up(label, taxonomy, style)[1] == "" for label in labels) for style in styles]
    return styles[int(np.argmax(matches))]


def _map_to_tree(labels: Mapping[str, int], taxonomy: Taxonomy, style: LabelStyle) -> LabelMapping:
    node = np.full(len(labels), -1, dtype=np.int64)
    exact = np.ones(len(labels), dtype=bool)
    categories: list[tuple[CategoryPath, ...]] = []
    messages: dict[int, str] = {}
    suggested = 0
    ancestors: set[int] = set()
    for i, label in enumerate(labels):
        nodes, message = _look_up(label, taxonomy, style)
        if len(nodes) > 1:
            paths = _deepest(tuple(taxonomy.nodes[n].path for n in nodes))
            deepest = [n for n in nodes if taxonomy.nodes[n].path in paths]
            if len(deepest) < len(nodes):
                nodes = deepest
                ancestors.add(i)
        if message:
            messages[i] = message
        if nodes:
            node[i] = nodes[0]
            exact[i] = taxonomy.terminal_of[nodes[0]] >= 0
        elif message and suggested < _SUGGESTED:
            suggested += 1
            messages[i] += _suggestion(label, taxonomy, style)
        categories.append(tuple(taxonomy.nodes[n].path for n in nodes))
    lists_ancestors = frozenset(ancestors)
    return LabelMapping(
        taxonomy, style, tuple(categories), node, exact, messages, {}, ancestors=lists_ancestors
    )


def _look_up(label: str, taxonomy: Taxonomy, style: LabelStyle) -> tuple[list[int], str]:
    """The nodes of a label, and its problem (empty if there is none)."""
    exact = taxonomy.find(label.strip())  # an id, which may contain any character
    if exact is None and "&" in label:
        exact = taxonomy.find(decode_entities(label).strip())
    if exact is not None:
        return [exact], ""
    paths, problem = parse_label(label, style)
    nodes: list[int] = []
    for path in paths:
        node = taxonomy.find(path)
        if node is None and len(path) == 1:
            node = taxonomy.find("".join(path))  # one of several ids
        if node is None:
            node = _path_index(taxonomy).get(tuple(fold_spelling(name) for name in path))
            if node is not None and not problem:
                read = format_path(taxonomy.nodes[node].path)
                problem = f"differs from the tree in case or spacing; read as {read!r}"
        if node is None:
            problem = f"is not in the tree ({len(taxonomy)} nodes)"
        else:
            nodes.append(node)
    return list(dict.fromkeys(nodes)), problem


_INDEXES: dict[str, dict[CategoryPath, int]] = {}


def _path_index(taxonomy: Taxonomy) -> dict[CategoryPath, int]:
    """Nodes by the folded spelling of their path."""
    if taxonomy.fingerprint not in _INDEXES:
        _INDEXES.clear()  # a process uses one tree at a time
        index: dict[CategoryPath, int] = {}
        for i, node in enumerate(taxonomy.nodes):
            index.setdefault(tuple(fold_spelling(decode_entities(name)) for name in node.path), i)
        _INDEXES[taxonomy.fingerprint] = index
    return _INDEXES[taxonomy.fingerprint]


@lru_cache(1)
def _name_index(taxonomy: Taxonomy) -> dict[str, list[int]]:
    """Nodes by the folded spelling of their name."""
    index: defaultdict[str, list[int]] = defaultdict(list)
    for i, node in enumerate(taxonomy.nodes):
        index[fold_spelling(node.name)].append(i)
    return index


def _suggestion(label: str, taxonomy: Taxonomy, style: LabelStyle) -> str:
    """`. Did you mean …?`, searched among the nodes that share most character trigrams with the label."""
    paths = parse_label(label, style).paths
    text = format_path(paths[0]) if paths else label
    same = _name_index(taxonomy).get(fold_spelling(paths[0][-1]), ()) if paths else ()
    if len(same) == 1:  # the same name under another path
        return f". Did you mean {format_path(taxonomy.nodes[same[0]].path)!r}?"
    names, lengths, positions = _trigram_index(taxonomy)
    hits = [positions[trigram] for trigram in _trigrams(text) if trigram in positions]
    if not hits:
        return ""
    shared = np.bincount(np.concatenate(hits), minlength=len(names)) / (lengths + len(text))
    similar = [names[i] for i in np.argsort(-shared, kind="stable")[:30]]
    suggested = did_you_mean(text, similar)
    return f".{suggested}" if suggested else ""


class _TrigramIndex(NamedTuple):
    """An index of N names: their lengths (N,), and the positions of the names that contain each trigram."""

    names: list[str]
    lengths: np.ndarray
    positions: dict[str, np.ndarray]


@lru_cache(1)
def _trigram_index(taxonomy: Taxonomy) -> _TrigramIndex:
    """The trigrams of the paths and ids of nodes."""
    names = list(dict.fromkeys(name for node in taxonomy.nodes for name in (format_path(node.path), node.id)))
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        for trigram in _trigrams(name):
            positions[trigram].append(i)
    lengths = np.array([len(name) for name in names])
    return _TrigramIndex(names, lengths, {trigram: np.array(rows) for trigram, rows in positions.items()})


def _trigrams(text: str) -> set[str]:
    text = f"  {text.casefold()} "
    return {text[i : i + 3] for i in range(len(text) - 2)}
