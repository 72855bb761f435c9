"""Changes between two versions of a tree."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from aisle.taxonomy.tree import Taxonomy, format_path

KINDS = ("renamed", "moved", "moved and renamed", "merged", "split", "added", "retired", "kept")
CERTAIN = 0.9  # probability below which a change is uncertain


class Change(NamedTuple):
    """A change of categories.

    Attributes:
        kind: `kept`, `renamed`, `moved`, `moved and renamed`, `merged` (several old categories became one),
            `split` (one old category became several), `added` or `retired`.
        old: indexes of the old nodes; empty for `added`.
        new: indexes of the new nodes; empty for `retired`.
        probability: that it is so, 0 to 1; 1 where ids say it. Of a retired category: that its replacement
            takes over.
        evidence: why, in words.
        replacement: index of the new node that takes over from a retired one, None where there is none.
    """

    kind: str
    old: tuple[int, ...]
    new: tuple[int, ...]
    probability: float
    evidence: tuple[str, ...]
    replacement: int | None = None

    @property
    def uncertain(self) -> bool:
        """Whether a person should look at it."""
        return self.probability < CERTAIN and self.kind not in ("added", "retired")


@dataclass(frozen=True)
class TaxonomyDiff:
    """The differences between two versions of a tree.

    Attributes:
        old: the earlier tree.
        new: the later tree.
        changes: one for each old and each new category, those that changed first: by kind, then those with
            the largest branches.
        by_ids: whether categories were matched by their ids.
        notes: remarks on how the trees were compared.
    """

    old: Taxonomy
    new: Taxonomy
    changes: tuple[Change, ...]
    by_ids: bool
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    @cached_property
    def counts(self) -> dict[str, int]:
        """The number of changes by kind, in the order of `KINDS`."""
        by_kind = Counter(change.kind for change in self.changes)
        return {kind: by_kind[kind] for kind in KINDS if by_kind[kind]}

    @property
    def unchanged(self) -> bool:
        """Whether every category was kept."""
        return set(self.counts) <= {"kept"}

    @property
    def uncertain(self) -> tuple[Change, ...]:
        """The changes that a person should look at."""
        return tuple(change for change in self.changes if change.uncertain)

    def pairs(self) -> set[tuple[int, int]]:
        """(old, new) nodes that correspond, without replacements of retired ones."""
        return {(old, new) for change in self.changes for old in change.old for new in change.new}

    def of(self, kind: str) -> tuple[Change, ...]:
        """The changes of one kind."""
        return tuple(change for change in self.changes if change.kind == kind)

    def to_dict(self, kept: bool = False) -> dict[str, Any]:
        """The changes as JSON values: ids and paths.

        Args:
            kept: list the categories that did not change too.
        """
        listed = [change for change in self.changes if kept or change.kind != "kept"]
        return {
            "old": {"categories": len(self.old), "fingerprint": self.old.fingerprint},
            "new": {"categories": len(self.new), "fingerprint": self.new.fingerprint},
            "matched_by": "ids" if self.by_ids else "names",
            "notes": list(self.notes),
            "counts": self.counts,
            "uncertain": len(self.uncertain),
            "changes": [self._as_json(change) for change in listed],
        }

    def _as_json(self, change: Change) -> dict[str, Any]:
        def named(tree: Taxonomy, nodes: tuple[int, ...]) -> list[dict[str, Any]]:
            return [{"id": tree.nodes[n].id, "path": list(tree.nodes[n].path)} for n in nodes]

        data = {
            "kind": change.kind,
            "old": named(self.old, change.old),
            "new": named(self.new, change.new),
            "probability": round(change.probability, 3),
            "uncertain": change.uncertain,
            "evidence": list(change.evidence),
        }
        if change.kind == "retired":
            replacement = () if change.replacement is None else (change.replacement,)
            data["replacement"] = next(iter(named(self.new, replacement)), None)
        return data

    def describe(self, change: Change) -> tuple[str, str]:
        """The old and the new side of a change as text; empty where there is none."""
        sides = ((self.old, change.old), (self.new, change.new))
        old, new = (" + ".join(format_path(tree.nodes[n].path) for n in nodes) for tree, nodes in sides)
        if change.kind == "retired" and change.replacement is not None:
            new = format_path(self.new.nodes[change.replacement].path)
        return old, new

    def to_html(self, file: str | Path) -> None:
        """Write one self-contained HTML page.

        Raises:
            OSError: the file cannot be written.
        """
        from aisle.taxonomy.tree_diff.page import render

        Path(file).write_text(render(self), "utf-8")

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in self.counts.items())
        return f"TaxonomyDiff({len(self.old):,} -> {len(self.new):,} categories: {counts})"
