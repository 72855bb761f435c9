"""A category tree as one depth-first list of nodes.

A *terminal* is a place a product can end: a leaf, or an interior node that is `assignable`
("stop here"; real catalogues have them). In depth-first order the terminals under any node are one
contiguous range, so a node's probability is a sum over a slice. Numbers (indexes of nodes and
terminals) live in memory only; files and weights carry ids.
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
    """One category. `assignable` says whether products may be placed exactly here (leaves always may)."""

    id: str
    path: CategoryPath
    assignable: bool = True

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path[-1]


def format_path(path: Sequence[str]) -> str:
    """`('Clothing', 'Shoes')` -> `'Clothing > Shoes'`, as people read it."""
    return DELIMITER.join(path)


class Taxonomy:
    """A frozen tree. Nodes are kept depth-first; siblings keep the order in which they were given.

    `nodes` may come in any order; parents that no node names are created (not assignable, their id
    the formatted path). `aliases` maps further ids (merged duplicates of an official file) to a
    node's id. N terminals, M nodes, L levels; level 1 is the top.

    Raises:
        TaxonomyError: no node, an empty name, an id or a path given twice, an alias to nowhere.
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
        """The tree that a set of labels spans; each label is assignable, siblings sorted by name."""
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

    def find(self, label: str | Sequence[str]) -> int | None:
        """The index of the node with this path, or (a string) this id or alias; None if there is none."""
        if isinstance(label, str):
            return self._by_id.get(self.aliases.get(label, label))
        return self._by_path.get(tuple(label))

    def index(self, label: str | Sequence[str]) -> int:
        """As `find`.

        Raises:
            TaxonomyError: there is no such node; the message names the nearest one.
        """
        found = self.find(label)
        if found is None:
            text = label if isinstance(label, str) else format_path(label)
            raise TaxonomyError(
                f"category {text!r} is not in the tree ({len(self)} nodes).{self.did_you_mean(text)}"
            )
        return found

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
        """(M,) each node's parent, -1 at the top."""
        return np.array([self._by_path.get(n.path[:-1], -1) for n in self.nodes], dtype=np.int64)

    @cached_property
    def node_depth(self) -> np.ndarray:
        """(M,) 1 for top categories."""
        return np.array([len(node.path) for node in self.nodes], dtype=np.int64)

    @property
    def depth(self) -> int:
        """L, the number of levels."""
        return int(self.node_depth.max())

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """For each node its children, in order."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for i, parent in enumerate(self.parent):
            if parent >= 0:
                found[parent].append(i)
        return tuple(tuple(c) for c in found)

    @cached_property
    def terminals(self) -> np.ndarray:
        """(N,) the nodes where products can end, depth-first (an interior one before those below it)."""
        return np.array([i for i, n in enumerate(self.nodes) if n.assignable or not self.children[i]])

    @cached_property
    def terminal_of(self) -> np.ndarray:
        """(M,) each node's own terminal, -1 where products cannot end."""
        numbers = np.full(len(self), -1, dtype=np.int64)
        numbers[self.terminals] = np.arange(len(self.terminals))
        return numbers

    @cached_property
    def span(self) -> np.ndarray:
        """(M, 2) the terminals under each node (itself included), as [start, stop)."""
        last = np.arange(len(self))  # the last node of each subtree
        for i in range(len(self) - 1, -1, -1):
            if self.parent[i] >= 0:
                last[self.parent[i]] = max(last[self.parent[i]], last[i])
        before = np.concatenate([[0], np.cumsum(self.terminal_of >= 0)])
        return np.stack([before[:-1], before[last + 1]], 1)

    def level(self, depth: int) -> np.ndarray:
        """The nodes at this depth (1 is the top), in order."""
        return np.flatnonzero(self.node_depth == depth)

    @cached_property
    def ancestors(self) -> np.ndarray:
        """(M, L) each node's ancestor at every level, itself included; -1 below it."""
        table = np.full((len(self), self.depth), -1, dtype=np.int64)
        for i, parent in enumerate(self.parent):
            if parent >= 0:
                table[i] = table[parent]
            table[i, self.node_depth[i] - 1] = i
        return table

    def lineage(self, node: int) -> tuple[int, ...]:
        """From the top category down to `node`."""
        return tuple(int(a) for a in self.ancestors[node] if a >= 0)

    # -- keeping ------------------------------------------------------------------------------

    @cached_property
    def fingerprint(self) -> str:
        """A hash of ids, paths and assignability: equal trees, equal fingerprints."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """One JSON object: nodes in order, with ids."""
        nodes = [[node.id, list(node.path), node.assignable] for node in self.nodes]
        return json.dumps({"nodes": nodes, "aliases": self.aliases}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Taxonomy":
        """Read back what `to_json` wrote.

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
        """The same tree with these nodes assignable too."""
        more = set(nodes)
        changed = (n._replace(assignable=n.assignable or i in more) for i, n in enumerate(self.nodes))
        return Taxonomy(changed, self.aliases)


def _depth_first(nodes: list[Node]) -> list[Node]:
    """Order nodes depth-first, creating parents nobody named; siblings keep their order."""
    if not nodes:
        raise TaxonomyError("the tree is empty: no category was given")
    named: dict[CategoryPath, Node] = {}
    for node in nodes:
        if not node.path or not all(part.strip() for part in node.path):
            raise TaxonomyError(f"category {format_path(node.path)!r} (id {node.id!r}) has an empty name")
        if node.path in named:
            raise TaxonomyError(f"path {format_path(node.path)!r} is given twice")
        named[node.path] = node
    below: dict[CategoryPath, list[CategoryPath]] = {}
    seen: set[CategoryPath] = set()
    for path in named:
        for cut in range(1, len(path) + 1):
            part = path[:cut]
            if part not in seen:
                seen.add(part)
                below.setdefault(part[:-1], []).append(part)
    ordered: list[Node] = []
    stack: list[CategoryPath] = list(reversed(below[()]))
    while stack:
        path = stack.pop()
        has_children = path in below
        node = named.get(path) or Node(format_path(path), path, assignable=False)
        ordered.append(node if has_children else node._replace(assignable=True))
        stack.extend(reversed(below.get(path, [])))
    return ordered


def _repeated(values: Iterable[str]) -> str:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return ""
