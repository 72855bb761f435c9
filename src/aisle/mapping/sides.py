"""One of the two trees of a mapping: its names, other names, and texts of its products."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from aisle.encodings import fold_accents
from aisle.taxonomy import Taxonomy, TreeFile
from aisle.taxonomy.plurals import singular

_STOP = {
    *("and", "or", "of", "the", "for", "with", "in", "to", "und", "oder", "fur", "mit", "et", "ou", "de"),
    *("des", "du", "la", "le", "les", "pour", "y", "con", "para", "e", "di", "per"),
}
MOST_LANGUAGES = 6  # other names of a node that are compared


@dataclass(frozen=True)
class TreeSide:
    """A tree with what is known about its categories.

    Attributes:
        taxonomy: the tree, of M nodes.
        names: other names of a node, by node id: in other languages, and synonyms.
        texts: texts of products, by node; they belong to exactly this node.
    """

    taxonomy: Taxonomy
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    texts: Mapping[int, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: TreeFile) -> "TreeSide":
        """The side of a tree's file."""
        return cls(tree.taxonomy, tree.names)

    @cached_property
    def variants(self) -> list[list[str]]:
        """J lists of M names: own names, then each node's j-th other one, or its own."""
        nodes = self.taxonomy.nodes
        most = min(MOST_LANGUAGES, max((len(found) for found in self.names.values()), default=0))
        rows = [[node.name for node in nodes]]
        for j in range(most):
            others = (self.names.get(node.id, ()) for node in nodes)
            rows.append(
                [found[j] if j < len(found) else node.name for node, found in zip(nodes, others, strict=True)]
            )
        return rows

    def paths(self, variant: int) -> list[str]:
        """(M,) names from the top down, the last one twice, for it says most."""
        names, tree = self.variants[variant], self.taxonomy
        return [
            " ".join([*(names[above] for above in tree.lineage(node)), names[node]])
            for node in range(len(tree))
        ]

    @cached_property
    def end(self) -> np.ndarray:
        """(M,) the node after each node's branch: a is at or above t where `a <= t < end[a]`."""
        end = np.arange(1, len(self.taxonomy) + 1)
        for node in range(len(self.taxonomy) - 1, -1, -1):
            if (parent := self.taxonomy.parent[node]) >= 0:
                end[parent] = max(end[parent], end[node])
        return end


def words(text: str) -> list[str]:
    """The words of a name: without case, accents, plural endings and words such as `and`."""
    return [singular(word) for word in re.findall(r"\w+", fold_accents(text)) if word not in _STOP]
