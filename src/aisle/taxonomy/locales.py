"""Files of one tree in several languages, joined by id; and files of one tree's parts."""

import re
from collections.abc import Mapping
from pathlib import Path

from aisle.taxonomy.entries import TreeFile
from aisle.taxonomy.tree import Taxonomy

_ENGLISH = re.compile(r"(?:^|[._-])en(?:[._-](?:us|gb))?(?:[._-]|$)", re.IGNORECASE)


def join_trees(files: Mapping[Path, TreeFile]) -> TreeFile:
    """Join files by id.

    Args:
        files: at least one. Paths come from the English one, by its name, else from the first. Names of the
            same id in another file are further names; ids that only another file has are left out, unless
            that file shares too few ids to be the same tree: then its nodes are added (a tree in parts).

    Returns:
        The joined tree.
    """
    order = sorted(files, key=lambda file: (not _ENGLISH.search(file.name), file.name))
    first = files[order[0]]
    names: dict[str, list[str]] = {
        node_id: list(translations) for node_id, translations in first.names.items()
    }
    nodes = {node.id: node for node in first.taxonomy.nodes}
    aliases, problems = dict(first.taxonomy.aliases), list(first.problems)
    paths = {node.path for node in nodes.values()}
    attributes = dict(first.attributes)
    for file in order[1:]:
        other = files[file]
        same_tree = sum(node.id in nodes for node in other.taxonomy.nodes) >= 0.3 * len(other.taxonomy)
        for node in other.taxonomy.nodes:
            if node.id in nodes:
                known = [nodes[node.id].name, *names.get(node.id, [])]
                fresh = [name for name in (node.name, *other.names.get(node.id, ())) if name not in known]
                names.setdefault(node.id, []).extend(fresh)
            elif not same_tree and node.path not in paths:
                nodes[node.id] = node
                paths.add(node.path)
        problems += other.problems
        attributes = {**other.attributes, **attributes}
    kept = {
        node_id: tuple(translations)
        for node_id, translations in names.items()
        if translations and node_id in nodes
    }
    tree = Taxonomy(nodes.values(), aliases)
    return TreeFile(tree, tuple(problems), first.kind, kept, attributes)
