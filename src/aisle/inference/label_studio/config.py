"""Labeling configurations with a `Taxonomy` tag (labelstud.io/tags/taxonomy)."""

from typing import Any, NamedTuple
from xml.etree import ElementTree

from aisle.taxonomy import Taxonomy

MAX_INLINE = 2_000  # categories of a tree that is written into the configuration itself


class Control(NamedTuple):
    """The names of the `Taxonomy` tag and of the tag that it labels."""

    name: str = "category"
    to_name: str = "title"


def label_config(taxonomy: Taxonomy, choices_url: str | None = None) -> str:
    """The labeling configuration of tasks that `write_tasks` writes.

    Args:
        taxonomy: The tree that annotators choose from.
        choices_url: Where browsers load `choices(taxonomy)` from; None: the configuration holds the tree.
    """
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Text", {"name": "title", "value": "$title"})
    ElementTree.SubElement(view, "HyperText", {"name": "images", "value": "$images"})
    ElementTree.SubElement(view, "Text", {"name": "description", "value": "$description"})
    ElementTree.SubElement(view, "Table", {"name": "fields", "value": "$fields"})
    control = Control()
    leaves_only = all(not taxonomy.children[i] for i in taxonomy.terminals)
    attributes = {
        "name": control.name,
        "toName": control.to_name,
        "leafsOnly": str(leaves_only).lower(),
        "showFullPath": "true",
        "pathSeparator": " > ",
        "maxUsages": "1",
        "required": "true",
    }
    if choices_url is not None:
        attributes["apiUrl"] = choices_url
    tag = ElementTree.SubElement(view, "Taxonomy", attributes)
    if choices_url is None:
        tags: dict[int, ElementTree.Element] = {-1: tag}
        for i, node in enumerate(taxonomy.nodes):
            above = tags[int(taxonomy.parent[i])]
            tags[i] = ElementTree.SubElement(above, "Choice", {"value": node.path[-1]})
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def choices(taxonomy: Taxonomy) -> dict[str, Any]:
    """The tree as the external JSON of a `Taxonomy` tag's `apiUrl`."""
    items: dict[int, dict[str, Any]] = {-1: {"children": []}}
    for i, node in enumerate(taxonomy.nodes):
        items[i] = {"value": node.path[-1]}
        items[int(taxonomy.parent[i])].setdefault("children", []).append(items[i])
    return {"items": items[-1]["children"]}


def find_control(config: str) -> Control | None:
    """The first `Taxonomy` tag of a configuration; None if there is none, or it is no XML."""
    if "<!" in config.replace("<!--", ""):  # entities could expand without end
        return None
    try:
        tags = ElementTree.fromstring(config).iter("Taxonomy")
    except (ElementTree.ParseError, ValueError):
        return None
    return next((Control(t.get("name", ""), t.get("toName", "")) for t in tags if t.get("name")), None)
