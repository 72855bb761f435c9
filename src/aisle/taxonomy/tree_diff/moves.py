"""Where the products of each old category go."""

from typing import NamedTuple

import numpy as np

from aisle.taxonomy.scores import Targets
from aisle.taxonomy.tree import Taxonomy
from aisle.taxonomy.tree_diff.result import CERTAIN, Change, TaxonomyDiff


class Move(NamedTuple):
    """Where the products of an old category go.

    Attributes:
        kind: of the change, as in `Change`.
        targets: nodes of the new tree that take products: one, several where the category was split, or none.
        probability: that it is so.
    """

    kind: str
    targets: tuple[int, ...]
    probability: float

    @property
    def sure(self) -> bool:
        """Whether labels can be moved without looking at the products."""
        return len(self.targets) == 1 and self.kind != "retired" and self.probability >= CERTAIN


def moves(diff: TaxonomyDiff) -> tuple[Move, ...]:
    """(M,) where the products of each old node go."""
    by_old: dict[int, list[Change]] = {}
    for change in diff.changes:
        for old in change.old:
            by_old.setdefault(old, []).append(change)
    used = {node for change in diff.changes if change.old for node in change.new}
    return tuple(_move(diff, by_old.get(old, []), old, used) for old in range(len(diff.old)))


def _move(diff: TaxonomyDiff, changes: list[Change], old: int, used: set[int]) -> Move:
    split = next((change for change in changes if change.kind == "split"), None)
    change = split or next((change for change in changes if change.new), None)
    if change is None:
        change = next(iter(changes), Change("retired", (old,), (), 0.0, ()))
        new: tuple[int, ...] = () if change.replacement is None else (change.replacement,)
    else:
        new = change.new
    is_leaf = not diff.old.children[old]
    targets = [end for node in new for end in (_ends(diff.new, node, used) if is_leaf else (node,))]
    return Move(change.kind, tuple(dict.fromkeys(targets)), change.probability)


def _ends(tree: Taxonomy, node: int, used: set[int]) -> list[int]:
    """An assignable node, or else the terminals below it, unmatched ones first."""
    if tree.terminal_of[node] >= 0:
        return [node]
    start, stop = tree.span[node]
    below = tree.terminals[start:stop].tolist()
    return [end for end in below if end not in used] or below


def move_targets(diff: TaxonomyDiff, targets: Targets) -> Targets:
    """The labels of products in the new tree.

    A label of a split category becomes the deepest node above all its parts, not exact; one that is retired,
    uncertain or has no such node becomes -1.

    Args:
        diff: the differences between the trees.
        targets: labels in the old tree.
    """
    every = moves(diff)
    node, exact = np.full(len(targets.node), -1), targets.exact.copy()
    for old in np.unique(targets.node[targets.node >= 0]).tolist():
        rows, move = targets.node == old, every[old]
        if move.sure:
            node[rows] = move.targets[0]
            exact[rows] &= diff.new.terminal_of[move.targets[0]] >= 0
        elif len(move.targets) > 1:
            node[rows], exact[rows] = _common_ancestor(diff.new, move.targets), False
    return Targets(node, exact & (node >= 0))


def _common_ancestor(tree: Taxonomy, nodes: tuple[int, ...]) -> int:
    """The deepest node at or above all these, -1 where there is none."""
    table = tree.ancestors[list(nodes)]
    same = (table == table[:1]).all(0) & (table[0] >= 0)
    return int(table[0][same][-1]) if same.any() else -1
