"""Turns matched nodes into changes, with the evidence in words."""

from collections import Counter

import numpy as np

from aisle.taxonomy.tree import Taxonomy, format_path
from aisle.taxonomy.tree_diff.groups import Link, links
from aisle.taxonomy.tree_diff.matching import Matches, TreePair, common_products
from aisle.taxonomy.tree_diff.names import folded, pair_cosine
from aisle.taxonomy.tree_diff.result import KINDS, Change

_LEAST = 0.1  # probability of a replacement that is named


def all_changes(evidence: TreePair, matches: Matches, by_ids: bool) -> tuple[Change, ...]:
    """The changes between two trees whose nodes are matched one to one, the most important ones first."""
    merges, candidates = links(evidence, matches)
    turned = evidence.swapped()
    splits, _ = links(turned, matches.reversed())
    matches = _with_single_links(matches, merges, splits)
    merges = [link for link in merges if matches.new_of[link.node] < 0]
    splits = [link for link in splits if matches.old_of[link.node] < 0]
    if by_ids:
        merges = _by_aliases(evidence, matches, merges)
    changes, used_old, used_new = _groups(evidence, matches, merges, splits)
    for old in np.flatnonzero(matches.new_of >= 0).tolist():
        new = int(matches.new_of[old])
        if old not in used_old and new not in used_new:
            changes.append(_one_to_one(evidence, matches, old, new, by_ids))
    used_old |= {old for change in changes for old in change.old}
    used_new |= {new for change in changes for new in change.new}
    for old in np.flatnonzero(matches.new_of < 0).tolist():
        if old not in used_old:
            changes.append(_retired(evidence, old, candidates.get(old)))
    for new in np.flatnonzero(matches.old_of < 0).tolist():
        if new not in used_new:
            changes.append(Change("added", (), (new,), 1.0, ("no earlier category is like it",)))
    return tuple(sorted(changes, key=lambda change: _importance(evidence, change)))


def _with_single_links(matches: Matches, merges: list[Link], splits: list[Link]) -> Matches:
    """The matches, with the links that join one unmatched node to one other."""
    new_of, old_of, probability = matches.new_of.copy(), matches.old_of.copy(), matches.probability.copy()
    pairs = [(link.node, link.other, link) for link in merges]
    pairs += [(link.other, link.node, link) for link in splits]
    sides = Counter(("old", old) for old, _ in {pair[:2] for pair in pairs})
    sides += Counter(("new", new) for _, new in {pair[:2] for pair in pairs})
    for old, new, link in pairs:
        alone = sides["old", old] == sides["new", new] == 1
        if alone and not link.in_parent and matches.new_of[old] < 0 and matches.old_of[new] < 0:
            new_of[old], old_of[new], probability[old] = new, old, link.probability
    return Matches(new_of, old_of, probability, matches.same_path)


def _importance(evidence: TreePair, change: Change) -> tuple[int, int, tuple[int, ...]]:
    sizes = [_branch(evidence.old, n) for n in change.old] + [_branch(evidence.new, n) for n in change.new]
    return KINDS.index(change.kind), -max(sizes, default=0), (*change.new, *change.old)


def _branch(tree: Taxonomy, node: int) -> int:
    start, stop = tree.span[node]
    return int(stop - start)


def _by_aliases(evidence: TreePair, matches: Matches, merges: list[Link]) -> list[Link]:
    """The merges, with those that the later tree's aliases say."""
    by_alias = {}
    for node in np.flatnonzero(matches.new_of < 0).tolist():
        other = evidence.new.find(evidence.old.nodes[node].id)
        if other is not None:
            by_alias[node] = Link(node, other, 1.0, False)
    return [link for link in merges if link.node not in by_alias] + list(by_alias.values())


def _groups(
    evidence: TreePair, matches: Matches, merges: list[Link], splits: list[Link]
) -> tuple[list[Change], set[int], set[int]]:
    """The merged and split categories, and the matched nodes that they use up."""
    changes: list[Change] = []
    used_old: set[int] = set()
    used_new: set[int] = set()
    for other, group in _by_other(merges).items():
        counterpart = int(matches.old_of[other])
        olds = [link.node for link in group]
        if counterpart >= 0 and not any(link.in_parent for link in group):
            olds.append(counterpart)
            used_old.add(counterpart)
            used_new.add(other)
        probability = min(link.probability for link in group)
        reasons = tuple(_link_words(evidence, link) for link in group)
        changes.append(Change("merged", tuple(sorted(olds)), (other,), probability, reasons))
    turned = evidence.swapped()
    for other, group in _by_other(splits).items():
        counterpart = int(matches.new_of[other])
        news = [link.node for link in group]
        if counterpart >= 0 and counterpart not in used_new and not any(link.in_parent for link in group):
            news.append(counterpart)
            used_old.add(other)
            used_new.add(counterpart)
        probability = min(link.probability for link in group)
        reasons = tuple(_link_words(turned, link) for link in group)
        changes.append(Change("split", (other,), tuple(sorted(news)), probability, reasons))
    return changes, used_old, used_new


def _by_other(links_: list[Link]) -> dict[int, list[Link]]:
    groups: dict[int, list[Link]] = {}
    for link in sorted(links_, key=lambda link: link.node):
        groups.setdefault(link.other, []).append(link)
    return groups


def _link_words(evidence: TreePair, link: Link) -> str:
    """Why a node belongs to a node of the other tree."""
    name, other = evidence.old.nodes[link.node].name, evidence.new.nodes[link.other].name
    if evidence.products is not None:
        common, both = common_products(evidence)[0][link.node], evidence.products[link.node, link.other]
        if both:
            return f"{int(both):,} of {int(common):,} common products of {name!r} are in {other!r}"
    if link.in_parent:
        return (
            f"{name!r} has the place of {other!r} in the other tree, which has no categories below it there"
        )
    if link.probability == 1.0:
        return f"its id names {other!r} now"
    shared = sorted(set(folded(name).split()) & set(folded(other).split()))
    if shared:
        return f"{name!r} and {other!r} share {', '.join(map(repr, shared))}"
    return f"the categories of {name!r} are in {other!r}"


def _one_to_one(evidence: TreePair, matches: Matches, old: int, new: int, by_ids: bool) -> Change:
    a, b = evidence.old.nodes[old], evidence.new.nodes[new]
    renamed, is_moved = a.name != b.name, _moved(evidence, matches, old, new)
    kind = (
        "moved and renamed"
        if renamed and is_moved
        else "renamed"
        if renamed
        else "moved"
        if is_moved
        else "kept"
    )
    reasons: list[str] = []
    if by_ids:
        reasons.append(f"the same id {a.id}")
    elif a.path == b.path:
        reasons.append("the same path")
    else:
        reasons += _match_words(evidence, matches, old, new)
    return Change(kind, (old,), (new,), float(matches.probability[old]), tuple(reasons))


def _moved(evidence: TreePair, matches: Matches, old: int, new: int) -> bool:
    """Whether a node's parent is another one now; children of a moved parent do not count as moved."""
    a, b = int(evidence.old.parent[old]), int(evidence.new.parent[new])
    if a < 0 or b < 0:
        return (a < 0) != (b < 0)
    if matches.new_of[a] == b:
        return False
    if matches.new_of[a] < 0 and matches.old_of[b] < 0:  # neither parent is matched: their names decide
        return evidence.old.nodes[a].path != evidence.new.nodes[b].path
    return True


def _match_words(evidence: TreePair, matches: Matches, old: int, new: int) -> list[str]:
    tree, other = evidence.old, evidence.new
    a, b = tree.nodes[old], other.nodes[new]
    reasons: list[str] = []
    if a.name == b.name:
        reasons.append("the same name")
    elif folded(a.name) == folded(b.name):
        reasons.append("the same name but for case, accents or punctuation")
    else:
        pair = np.array([old]), np.array([new])
        similar = float(pair_cosine(evidence.vectors.old, evidence.vectors.new, *pair)[0])
        reasons.append(f"names are {similar:.0%} alike")
    parent = int(tree.parent[old])
    if parent >= 0 and matches.new_of[parent] == other.parent[new]:
        reasons.append(f"both are in {tree.nodes[parent].name!r}")
    children = tree.children[old]
    if children and other.children[new]:
        shared = sum(matches.new_of[c] >= 0 and other.parent[matches.new_of[c]] == new for c in children)
        reasons.append(f"{shared:,} of {len(children):,} categories below it are the same")
    if evidence.products is not None:
        shared, common = int(evidence.products[old, new]), int(common_products(evidence)[0][old])
        if common:
            reasons.append(f"{shared:,} of {common:,} common products are in both")
    return reasons


def _retired(evidence: TreePair, old: int, candidate: tuple[int, float] | None) -> Change:
    if candidate is None or candidate[1] < _LEAST:
        return Change("retired", (old,), (), 1.0, ("no later category is like it",))
    other, probability = candidate
    path = format_path(evidence.new.nodes[other].path)
    return Change("retired", (old,), (), probability, (f"the nearest category is {path}",), other)
