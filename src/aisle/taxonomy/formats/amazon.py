"""Amazon's browse tree: nodes with the ids and names from the root down."""

from collections.abc import Mapping, Sequence
from typing import Any

from aisle.taxonomy.entries import Entry


def browse_nodes(nodes: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """The categories of browse nodes.

    Names may hold commas, and so `browsePathByName` is not split: names are those of the nodes on the path of
    ids. A node that the report lacks is known by its part of that text, if the parts are as many as the ids.

    Args:
        nodes: with `browseNodeId`, `browseNodeName`, `browsePathById` and `browsePathByName`.
    """
    names = {str(node["browseNodeId"]): str(node.get("browseNodeName") or "").strip() for node in nodes}
    entries: list[Entry] = []
    seen: set[tuple[str, ...]] = set()
    for n, node in enumerate(nodes, 1):
        chain = tuple(
            part.strip() for part in str(node.get("browsePathById") or "").split(",") if part.strip()
        )
        node_id = str(node["browseNodeId"])
        chain = chain if chain and chain[-1] == node_id else (*chain, node_id)
        texts = str(node.get("browsePathByName") or "").split(",")
        by_part = dict(zip(chain, texts, strict=False)) if len(texts) == len(chain) else {}
        path = tuple(names.get(part) or by_part.get(part, "").strip() for part in chain)
        if chain in seen:
            continue
        seen.add(chain)
        entries.append(Entry(n, node_id, tuple(name for name in path if name)))
    return _without_root(entries)


def _without_root(entries: list[Entry]) -> list[Entry]:
    """Without the marketplace's root, the one first name of all nodes."""
    tops = {entry.path[0] for entry in entries if entry.path}
    if len(tops) == 1 and any(len(entry.path) > 1 for entry in entries):
        return [entry._replace(path=entry.path[1:]) for entry in entries if len(entry.path) > 1]
    return entries
