"""Simulated histories of category trees: a tree before and after renames, moves, merges, splits, additions
and retirements, with the truth of what became of every category."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from aisle.taxonomy import CategoryPath, Node, Taxonomy

KINDS = ("rename", "move", "merge", "split", "add", "retire")
SHARE = 0.03  # of the nodes that each kind of change happens to
SYNONYMS = {
    "cell": "mobile", "phones": "telephones", "clothing": "apparel", "shoes": "footwear", "tv": "television",
    "televisions": "TVs", "kids": "children's", "baby": "infant", "bags": "luggage", "cars": "automobiles",
    "home": "household", "supplies": "products", "accessories": "add-ons", "equipment": "gear",
    "furniture": "furnishings", "drinks": "beverages", "snacks": "nibbles", "toys": "playthings",
    "hair": "haircare", "frozen": "deep-frozen", "fresh": "chilled", "men": "gents", "women": "ladies",
    "tools": "hardware", "garden": "gardening", "parts": "components", "sets": "kits", "care": "treatment",
    "pet": "animal", "kitchen": "cooking", "games": "gaming", "watches": "timepieces", "food": "foods",
}  # fmt: skip


@dataclass
class _Version:
    """A tree as name and parent by key; the key is the category's number in the base tree."""

    parent: dict[int, int]
    name: dict[int, str]

    def path(self, key: int) -> CategoryPath:
        names: list[str] = []
        while key >= 0:
            names.append(self.name[key])
            key = self.parent[key]
        return tuple(reversed(names))

    def children(self, key: int) -> list[int]:
        return [child for child, parent in self.parent.items() if parent == key]

    def drop(self, key: int) -> None:
        del self.parent[key], self.name[key]

    def free(self, key: int, name: str) -> bool:
        """Whether no sibling has this name."""
        return all(
            self.name[k] != name for k in self.parent if self.parent[k] == self.parent[key] and k != key
        )


@dataclass
class History:
    """A tree before and after.

    Attributes:
        old, new: both versions, without ids.
        pairs: (old, new) nodes that correspond.
        changed: those of them whose name, parent or number is not the same.
        old_of, new_of: the path before and after of each terminal of the base tree; None where it has none.
        split: terminals of the base tree that are told apart since.
    """

    old: Taxonomy
    new: Taxonomy
    pairs: set[tuple[int, int]]
    changed: set[tuple[int, int]]
    old_of: Mapping[CategoryPath, CategoryPath | None]
    new_of: Mapping[CategoryPath, CategoryPath | None]
    split: set[CategoryPath] = field(default_factory=set)


class _Simulation:
    def __init__(self, base: Taxonomy, seed: int) -> None:
        self.base, self.rng = base, random.Random(seed)
        parent = {i: int(p) for i, p in enumerate(base.parent)}
        name = {i: node.name for i, node in enumerate(base.nodes)}
        self.old, self.new = _Version(dict(parent), dict(name)), _Version(dict(parent), dict(name))
        self.used: set[int] = set()
        self.extra: set[tuple[int, int]] = set()
        self.old_place, self.new_place = {i: i for i in parent}, {i: i for i in parent}
        self.split: set[int] = set()

    def _draw(self, leaf: bool | None = None) -> int | None:
        """A category that nothing has happened to."""
        for _ in range(50):
            key = self.rng.randrange(len(self.base))
            if key not in self.used and leaf in (None, not self.base.children[key]):
                return key
        return None

    def _siblings(self) -> tuple[int, int] | None:
        """Two leaves of one parent that nothing has happened to."""
        for _ in range(50):
            key = self._draw(leaf=True)
            if key is None:
                return None
            parent = int(self.base.parent[key])
            near = [k for k in (self.base.children[parent] if parent >= 0 else ()) if k != key]
            near = [k for k in near if k not in self.used and not self.base.children[k]]
            if near:
                return key, self.rng.choice(near)
        return None

    def rename(self) -> None:
        key = self._draw()
        if key is None:
            return
        name = _new_name(self.base.nodes[key].path, self.rng, self.base)
        if name != self.new.name[key] and self.new.free(key, name):
            self.new.name[key] = name
            self.used.add(key)

    def move(self) -> None:
        key = self._draw()
        inner = [k for k in range(len(self.base)) if self.base.children[k] and k in self.new.parent]
        if key is None or not inner:
            return
        target = self.rng.choice(inner)
        lineage, up = [], target
        while up >= 0:
            lineage.append(up)
            up = self.new.parent[up]
        old_parent = self.new.parent[key]
        alone = old_parent >= 0 and len(self.new.children(old_parent)) < 2
        same = any(self.new.name[k] == self.new.name[key] for k in self.new.children(target))
        if key not in lineage and target != old_parent and not same and not alone:
            self.new.parent[key] = target
            self.used |= {key, target}

    def merge(self) -> None:
        self._join(self.new, self.new_place)

    def split_(self) -> None:
        if self.rng.random() < 0.5:
            self._join(self.old, self.old_place)
            return
        key = self._draw(leaf=False)
        children = [] if key is None else list(self.base.children[key])
        if key is None or not 2 <= len(children) <= 6 or self.used & set(children):
            return
        if any(self.base.children[c] for c in children):
            return
        for child in children:
            self.old.drop(child)
            self.old_place[child] = key
            self.extra.add((key, child))
        self.used |= {key, *children}
        self.split |= set(children)

    def _join(self, version: _Version, place: dict[int, int]) -> None:
        """One leaf takes in another, in one of the versions."""
        found = self._siblings()
        if found is None:
            return
        kept, gone = found
        name = f"{version.name[kept]} & {version.name[gone]}"
        version.drop(gone)
        if self.rng.random() < 0.7 and version.free(kept, name):
            version.name[kept] = name
        place[gone] = kept
        self.used |= {kept, gone}
        if version is self.new:
            self.extra.add((gone, kept))
        else:
            self.extra.add((kept, gone))
            self.split |= {kept, gone}

    def add(self) -> None:
        self._leave_out(self.old, self.old_place)

    def retire(self) -> None:
        self._leave_out(self.new, self.new_place)

    def _leave_out(self, version: _Version, place: dict[int, int]) -> None:
        key = self._draw(leaf=True)
        if key is None or len(self.base.children[int(self.base.parent[key])]) < 3:
            return
        version.drop(key)
        place[key] = -1
        self.used.add(key)

    def history(self) -> History:
        trees = [
            Taxonomy(Node(" > ".join(version.path(k)), version.path(k)) for k in version.parent)
            for version in (self.old, self.new)
        ]

        def node(side: int, version: _Version, key: int) -> int:
            return trees[side].index(version.path(key))

        same = [(k, k) for k in self.old.parent if k in self.new.parent]
        pairs = {(node(0, self.old, a), node(1, self.new, b)) for a, b in [*same, *self.extra]}
        touched = [(a, b) for a, b in same if a in self.used and self._differs(a)] + list(self.extra)
        changed = {(node(0, self.old, a), node(1, self.new, b)) for a, b in touched}
        terminals = self.base.terminals.tolist()

        def paths(version: _Version, place: dict[int, int]) -> dict[CategoryPath, CategoryPath | None]:
            return {
                self.base.nodes[t].path: version.path(place[t]) if place[t] in version.parent else None
                for t in terminals
            }

        split = {self.base.nodes[t].path for t in terminals if t in self.split}
        return History(
            *trees, pairs, changed, paths(self.old, self.old_place), paths(self.new, self.new_place), split
        )

    def _differs(self, key: int) -> bool:
        return self.old.name[key] != self.new.name[key] or self.old.parent[key] != self.new.parent[key]


def simulate(base: Taxonomy, seed: int, kinds: tuple[str, ...] = KINDS, share: float = SHARE) -> History:
    """A history of changes of these kinds, each at a share of the tree's categories."""
    simulation = _Simulation(base, seed)
    for kind in kinds:
        for _ in range(max(round(share * len(base)), 1)):
            getattr(simulation, "split_" if kind == "split" else kind)()
    return simulation.history()


def _new_name(path: CategoryPath, rng: random.Random, base: Taxonomy) -> str:
    """Another name, as people rename categories; now and then one that has nothing in common."""
    name, words = path[-1], path[-1].split()
    options: list[str] = []
    known = [w for w in words if w.casefold() in SYNONYMS]
    if known:
        word = rng.choice(known)
        options += [" ".join(SYNONYMS[w.casefold()].capitalize() if w == word else w for w in words)] * 4
    for mark, other in ((" & ", " and "), (" and ", " & ")):
        if mark in name:
            first, _, second = name.partition(mark)
            options += [name.replace(mark, other), f"{second}{mark}{first}", first]
    if len(words) > 2:
        options += [" ".join(words[1:]), " ".join(words[:-1])]
    options += [f"{name} & More", f"All {name}", f"{name[:-1] if name.endswith('s') else name + 's'}"]
    if len(path) > 1:
        options.append(f"{path[-2].split()[0]} {name}")
    if rng.random() < 0.08:
        return rng.choice(base.nodes).name
    return rng.choice(options)
