"""A category tree as a depth-first list of nodes.

A terminal is a category that products can be assigned to: a leaf, or an inner node that is `assignable`. In
depth-first order the terminals under a node are a contiguous range, so a node's probability is a sum over a
slice. Indexes of nodes and terminals exist in memory only; files and weights refer to nodes by id.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from aisle.errors import TaxonomyError, did_you_mean

DELIMITER = " > "
CategoryPath = tuple[str, ...]


class Node(NamedTuple):
    """A category.

    Attributes:
        id: stable id.
        path: names from the top level down.
        assignable: whether products can be assigned to exactly this node; always True for leaves.
    """

    id: str
    path: CategoryPath
    assignable: bool = True

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path[-1]


def format_path(path: Sequence[str]) -> str:
    """A path as text: `('Clothing', 'Shoes')` is `'Clothing > Shoes'`."""
    return DELIMITER.join(path)


class Taxonomy:
    """An immutable category tree of M nodes, N terminals and L levels; level 1 is the top.

    Args:
        nodes: in any order; siblings keep their order. Missing parents are created (not assignable, with the
            formatted path as id).
        aliases: further ids of nodes (merged duplicates of an official file).

    Attributes:
        nodes: in depth-first order.
        aliases: further ids of nodes.

    Raises:
        TaxonomyError: no node, an empty name, a repeated id or path, or an alias of an unknown id.
    """

    def __init__(self, nodes: Iterable[Node], aliases: Mapping[str, str] | None = None) -> None:
        self.nodes: tuple[Node, ...] = tuple(_depth_first(list(nodes)))
        self.aliases: dict[str, str] = dict(aliases or {})
        self._by_path = {node.path: i for i, node in enumerate(self.nodes)}
        self._by_id = {node.id: i for i, node in enumerate(self.nodes)}
        if len(self._by_id) != len(self.nodes):
            raise TaxonomyError(f"id {_repeated(n.id for n in self.nodes)!r} is given to two categories")
        for alias, node_id in self.aliases.items():
            if node_id not in self._by_id:
                raise TaxonomyError(f"alias {alias!r} names id {node_id!r}, which is not in the tree")

    @classmethod
    def from_paths(cls, paths: Iterable[CategoryPath]) -> "Taxonomy":
        """The tree spanned by labels; each label is assignable, siblings are sorted by name."""
        return cls(Node(format_path(path), path) for path in sorted(set(paths)))

    # -- looking up ---------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.nodes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Taxonomy) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"Taxonomy({len(self)} nodes, {len(self.terminals)} terminals, {self.depth} levels)"

    def _repr_html_(self) -> str:
        from aisle.taxonomy.tree_html import taxonomy_html

        return taxonomy_html(self)

    def find(self, label: str | Sequence[str]) -> int | None:
        """The index of the node with this path (a sequence), or this id or alias (a string); None without
        one.
        """
        if isinstance(label, str):
            return self._by_id.get(self.aliases.get(label, label))
        return self._by_path.get(tuple(label))

    def index(self, label: str | Sequence[str]) -> int:
        """As `find`, for a node that must exist.

        Raises:
            TaxonomyError: there is no such node; the message names the nearest one.
        """
        node = self.find(label)
        if node is None:
            text = label if isinstance(label, str) else format_path(label)
            raise TaxonomyError(
                f"category {text!r} is not in the tree ({len(self)} nodes).{self.did_you_mean(text)}"
            )
        return node

    def terminals_in(self, other: "Taxonomy") -> np.ndarray:
        """(N,) the number of each terminal in another tree, by node id; -1 where it is none there."""
        nodes = [other.find(self.nodes[node].id) for node in self.terminals]
        return np.array([-1 if node is None else other.terminal_of[node] for node in nodes], np.int64)

    def did_you_mean(self, label: str) -> str:
        """` Did you mean 'Clothing > Shoes'?`, or an empty string."""
        return did_you_mean(label, self._near_names)

    @cached_property
    def _near_names(self) -> list[str]:
        return [*(format_path(node.path) for node in self.nodes), *self._by_id]

    # -- shape --------------------------------------------------------------------------------

    @cached_property
    def parent(self) -> np.ndarray:
        """(M,) the parent of each node, -1 at the top level."""
        return np.array([self._by_path.get(n.path[:-1], -1) for n in self.nodes], dtype=np.int64)

    @cached_property
    def node_depth(self) -> np.ndarray:
        """(M,) the level of each node, from 1."""
        return np.array([len(node.path) for node in self.nodes], dtype=np.int64)

    @property
    def depth(self) -> int:
        """L, the number of levels."""
        return int(self.node_depth.max())

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The children of each node, in order."""
        children: list[list[int]] = [[] for _ in self.nodes]
        for i, parent in enumerate(self.parent):
            if parent >= 0:
                children[parent].append(i)
        return tuple(tuple(c) for c in children)

    @cached_property
    def terminals(self) -> np.ndarray:
        """(N,) the node of each terminal, depth-first (inner nodes before those below them)."""
        return np.array([i for i, n in enumerate(self.nodes) if n.assignable or not self.children[i]])

    @cached_property
    def terminal_of(self) -> np.ndarray:
        """(M,) the terminal of each node, -1 if it is none."""
        numbers = np.full(len(self), -1, dtype=np.int64)
        numbers[self.terminals] = np.arange(len(self.terminals))
        return numbers

    @cached_property
    def span(self) -> np.ndarray:
        """(M, 2) the range [start, stop) of terminals in each node's branch, itself included."""
        last = np.arange(len(self))  # the last node of each subtree
        for i in range(len(self) - 1, -1, -1):
            if self.parent[i] >= 0:
                last[self.parent[i]] = max(last[self.parent[i]], last[i])
        before = np.concatenate([[0], np.cumsum(self.terminal_of >= 0)])
        return np.stack([before[:-1], before[last + 1]], 1)

    def level(self, depth: int) -> np.ndarray:
        """The nodes of a level (from 1), in order."""
        return np.flatnonzero(self.node_depth == depth)

    @cached_property
    def ancestors(self) -> np.ndarray:
        """(M, L) the ancestor of each node on each level, itself included; -1 below it."""
        table = np.full((len(self), self.depth), -1, dtype=np.int64)
        for i, parent in enumerate(self.parent):
            if parent >= 0:
                table[i] = table[parent]
            table[i, self.node_depth[i] - 1] = i
        return table

    def lineage(self, node: int) -> tuple[int, ...]:
        """The nodes on the path to `node`, from the top level down."""
        return tuple(int(a) for a in self.ancestors[node] if a >= 0)

    # -- keeping ------------------------------------------------------------------------------

    @cached_property
    def fingerprint(self) -> str:
        """A hash of ids, paths and assignability, equal for equal trees."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """The tree as JSON."""
        nodes = [[node.id, list(node.path), node.assignable] for node in self.nodes]
        return json.dumps({"nodes": nodes, "aliases": self.aliases}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Taxonomy":
        """Read what `to_json` wrote.

        Raises:
            TaxonomyError: the text is something else.
        """
        try:
            data = json.loads(text)
            nodes = [Node(str(i), tuple(path), bool(assignable)) for i, path, assignable in data["nodes"]]
            aliases = {str(k): str(v) for k, v in data["aliases"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TaxonomyError(f"not a saved tree: {error}") from error
        return cls(nodes, aliases)

    def with_assignable(self, nodes: Iterable[int]) -> "Taxonomy":
        """A copy in which these nodes are assignable too."""
        also = set(nodes)
        copies = (n._replace(assignable=n.assignable or i in also) for i, n in enumerate(self.nodes))
        return Taxonomy(copies, self.aliases)


def _depth_first(nodes: list[Node]) -> list[Node]:
    """Order nodes depth-first, and create missing parents; siblings keep their order."""
    if not nodes:
        raise TaxonomyError("the tree is empty: no category was given")
    by_path: dict[CategoryPath, Node] = {}
    for node in nodes:
        if not node.path or not all(part.strip() for part in node.path):
            raise TaxonomyError(f"category {format_path(node.path)!r} (id {node.id!r}) has an empty name")
        if node.path in by_path:
            raise TaxonomyError(f"path {format_path(node.path)!r} is given twice")
        by_path[node.path] = node
    children: dict[CategoryPath, list[CategoryPath]] = {}
    visited: set[CategoryPath] = set()
    for path in by_path:
        for depth in range(1, len(path) + 1):
            prefix = path[:depth]
            if prefix not in visited:
                visited.add(prefix)
                children.setdefault(prefix[:-1], []).append(prefix)
    ordered: list[Node] = []
    stack: list[CategoryPath] = list(reversed(children[()]))
    while stack:
        path = stack.pop()
        node = by_path.get(path) or Node(format_path(path), path, assignable=False)
        ordered.append(node if path in children else node._replace(assignable=True))
        stack.extend(reversed(children.get(path, [])))
    return ordered


def _repeated(values: Iterable[str]) -> str:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return ""
