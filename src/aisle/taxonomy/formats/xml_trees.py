"""Trees as XML: GS1 GPC, Amazon's browse tree, ETIM, and categories with a parent attribute."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from aisle.errors import TaxonomyError
from aisle.taxonomy.entries import Entry, Parsed
from aisle.taxonomy.formats.amazon import browse_nodes
from aisle.taxonomy.formats.tables import path_from_parents

_GPC_LEVELS = ("segment", "family", "class", "brick")
_ETIM = re.compile(r"E[GC]\d{6}")


def xml_entries(text: str) -> Parsed:
    """The categories of an XML document.

    Raises:
        TaxonomyError: it is not XML, declares entities, or holds no categories that are known.
    """
    if "<!ENTITY" in text:
        raise TaxonomyError("the XML declares entities, which are not read")
    try:
        root = ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))
    except ElementTree.ParseError as error:
        raise TaxonomyError(f"not XML: {error}") from error
    for element in root.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    parsed = (
        _gpc(root)
        or _amazon(root)
        or _etim(root)
        or Parsed("categories with parents", list(_with_parents(root)))
    )
    if not parsed.entries:
        raise TaxonomyError("the XML holds no categories that are known")
    return parsed


def _gpc(root: ElementTree.Element) -> Parsed | None:
    counter = iter(range(1, 10**9))

    def below(element: ElementTree.Element, above: tuple[str | None, ...], level: int) -> Iterator[Entry]:
        for child in element.iter(_GPC_LEVELS[level]):
            if child.get("active", "true").casefold() == "false":
                continue
            path = (*above, child.get("text"))
            attributes = (
                tuple(attribute.get("text", "") for attribute in child.iter("attType")) if level == 3 else ()
            )
            yield Entry(next(counter), child.get("code", ""), path, attributes=attributes)
            if level < 3:
                yield from below(child, path, level + 1)

    return Parsed("GS1 GPC", entries) if (entries := list(below(root, (), 0))) else None


def _amazon(root: ElementTree.Element) -> Parsed | None:
    nodes = [
        {child.tag: (child.text or "").strip() for child in node}
        for node in root.iter("Node")
        if node.find("browseNodeId") is not None
    ]
    return Parsed("Amazon browse tree", browse_nodes(nodes)) if nodes else None


def _etim(root: ElementTree.Element) -> Parsed | None:
    """Groups (EG…) and the classes (EC…) in them, with descriptions in several languages and synonyms."""
    classes: dict[str, tuple[str, str, tuple[str, ...]]] = {}
    for element in root.iter():
        own = (element.findtext("Code") or element.get("code") or "").strip()
        if not _ETIM.fullmatch(own):
            continue
        texts = [
            (text_element.text or "").strip()
            for text_element in element.iter()
            if text_element.tag in ("Description", "Synonym")
        ]
        texts = [text for text in texts if text]
        inner = [
            (text_element.text or "").strip()
            for text_element in element.iter()
            if text_element.tag not in ("Code", "Description")
        ]
        group = next((text for text in inner if re.fullmatch(r"EG\d{6}", text) and text != own), "")
        if texts:
            classes[own] = (texts[0], group if own.startswith("EC") else "", tuple(texts[1:]))
    table: dict[str, tuple[str | None, str]] = {
        code: (name, group) for code, (name, group, _) in classes.items()
    }
    entries = [
        Entry(n, code, path_from_parents(code, table), names=names)
        for n, (code, (_, _, names)) in enumerate(classes.items(), 1)
    ]
    return Parsed("ETIM", entries) if entries else None


def _with_parents(root: ElementTree.Element) -> Iterator[Entry]:
    """`<category id="2" parentId="1">Shoes</category>`, as in Yandex feeds; or nested elements with names."""
    table: dict[str, tuple[str | None, str]] = {}
    for element in root.iter():
        if element.tag.casefold() not in ("category", "cat", "node", "group"):
            continue
        node_id = element.get("id") or element.get("code") or element.findtext("id") or ""
        parent = element.get("parentId") or element.get("parent_id") or element.findtext("parent_id") or ""
        name = element.get("name") or element.findtext("name") or (element.text or "")
        if node_id and name.strip():
            table[node_id.strip()] = (name.strip(), parent.strip())
    for n, node_id in enumerate(table, 1):
        yield Entry(n, node_id, path_from_parents(node_id, table))
