"""Trees as JSON: nested objects, objects with parents, paths; Shopify, GS1 GPC, Amazon, Magento, Best Buy."""

from collections.abc import Iterator, Mapping
from typing import Any

from aisle.errors import TaxonomyError
from aisle.taxonomy.entries import Entry, Parsed
from aisle.taxonomy.formats.amazon import browse_nodes
from aisle.taxonomy.formats.rows import object_rows
from aisle.taxonomy.formats.tables import path_from_parents, table_entries, without_technical_root
from aisle.taxonomy.formats.text import path_splitter

_ID = (
    "id",
    "category_id",
    "categoryid",
    "node_id",
    "code",
    "key",
    "gid",
    "browsenodeid",
    "entity_id",
    "term_id",
)
_PATH = ("path", "category_path", "full_name", "fullname", "full_path", "breadcrumb")
_NAME = ("name", "category_name", "title", "label", "displayname", "contextfreename")
_PARENT = ("parent_id", "parentid", "parent", "parent_category_id", "parentcode", "parent_code")
_CHILDREN = (
    "children", "subcategories", "subCategories", "categories", "nodes", "verticals", "child",
    "children_data", "childs", "Childs", "Children", "Schema",
)  # fmt: skip
_WRAPPERS = ("items", "data", "results", "value", "content", "_embedded", "categories", "product_categories")
_GPC_BRICK = 4  # the level of the last category; attributes follow


def json_entries(data: Any) -> Parsed:
    """The categories of parsed JSON.

    Raises:
        TaxonomyError: it holds none, or one that is no object.
    """
    if isinstance(data, dict) and isinstance(data.get("Schema"), list):
        return Parsed("GS1 GPC", list(_gpc(data["Schema"], (), iter(range(1, 10**9)))))
    if isinstance(data, dict) and isinstance(data.get("verticals"), list):
        return Parsed("Shopify product taxonomy", list(_shopify(data["verticals"])))
    items = _items(data)
    if items and all(isinstance(item, str) for item in items):
        split = path_splitter(items)
        return Parsed("paths", [Entry(n, "", split(item)) for n, item in enumerate(items, 1)])
    objects = [item for item in items if isinstance(item, dict)]
    if any("browsePathById" in item for item in objects):
        return Parsed("Amazon browse tree", browse_nodes(objects))
    flat = not any(isinstance(item.get(key), list) and item[key] for item in objects for key in _CHILDREN)
    if flat and any("labels" in item or "group" in item for item in objects):  # Akeneo, ETIM
        return table_entries(object_rows([_etim(item) for item in objects]))
    if any(_value(item, _PARENT) is not None for item in objects) and flat:
        kind = "WooCommerce categories" if all("slug" in item for item in objects) else "parents by id"
        return Parsed(kind, without_technical_root(list(_by_parent(objects))))
    counter = iter(range(1, 10**9))
    entries = [entry for item in items for entry in _node(item, (), counter)]
    if any("children_data" in item for item in objects):
        return Parsed("Magento categories", without_technical_root(entries))
    return Parsed("nested categories", entries)


def _items(data: Any) -> list[Any]:
    """The list of categories, which an API's answer wraps."""
    while isinstance(data, dict) and _value(data, (*_NAME, *_ID)) is None:
        inner = next((data[key] for key in _WRAPPERS if isinstance(data.get(key), (list, dict))), None)
        if inner is None:
            break
        data = inner
    return data if isinstance(data, list) else [data]


def _etim(item: Mapping[str, Any]) -> dict[str, object]:
    """An ETIM class, whose group is an object, with the group's code as its parent."""
    group = item.get("group")
    return {**item, "parent": group.get("code")} if isinstance(group, Mapping) else dict(item)


def _gpc(items: list[Any], above: tuple[str | None, ...], counter: Iterator[int]) -> Iterator[Entry]:
    """Segments, families, classes and bricks; attributes of a brick are kept with it."""
    for item in items:
        if int(item.get("Level", 0)) > _GPC_BRICK or item.get("Active") is False:
            continue
        path = (*above, item.get("Title"))
        below = item.get("Childs") or []
        names = tuple(str(node.get("Title")) for node in below if int(node.get("Level", 0)) > _GPC_BRICK)
        yield Entry(next(counter), str(item.get("Code", "")), path, attributes=names)
        yield from _gpc(below, path, counter)


def _shopify(verticals: list[Any]) -> Iterator[Entry]:
    counter = iter(range(1, 10**9))
    for vertical in verticals:
        for item in vertical.get("categories", []):
            path = tuple(str(item.get("full_name") or item.get("name")).split(" > "))
            listed = item.get("attributes") or []
            attributes = tuple(
                str(attribute.get("name") if isinstance(attribute, dict) else attribute)
                for attribute in listed
            )
            node_id = str(item["id"])
            short = node_id.rsplit("/", 1)[-1]
            yield Entry(
                next(counter),
                node_id,
                path,
                attributes=attributes,
                aliases=(short,) if short != node_id else (),
            )


def _by_parent(items: list[dict[str, Any]]) -> Iterator[Entry]:
    table = {str(_value(item, _ID)): (_value(item, _NAME), str(_parent(item) or "")) for item in items}
    for n, item in enumerate(items, 1):
        node_id = str(_value(item, _ID))
        yield Entry(n, node_id, path_from_parents(node_id, table), item.get("assignable"))


def _parent(item: Mapping[str, Any]) -> Any:
    parent = _value(item, _PARENT)
    return _value(parent, _ID) if isinstance(parent, Mapping) else parent


def _value(item: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    folded = {str(key).casefold(): value for key, value in item.items()}
    return next((folded[name] for name in names if name in folded), None)


def _node(item: Any, above: tuple[str | None, ...], counter: Iterator[int]) -> Iterator[Entry]:
    """The entries of an object with a path, or with a name and children."""
    if not isinstance(item, dict):
        raise TaxonomyError(f"a category is an object, not {str(item)[:40]!r}")
    node_id, path = _value(item, _ID), _full_path(item)
    below: list[Any] = []
    if path is None:
        below = next((item[key] for key in _CHILDREN if isinstance(item.get(key), list)), [])
        name = _value(item, _NAME)
        is_heading = any(isinstance(child, dict) and _full_path(child) for child in below)
        path = None if name is None or is_heading else (*above, str(name))
    if path is not None:
        yield Entry(next(counter), "" if node_id is None else str(node_id), path, item.get("assignable"))
    for child in below:
        yield from _node(child, path or above, counter)


def _full_path(item: Mapping[str, Any]) -> tuple[str | None, ...] | None:
    """The path of an object: `path`, a list of objects (Best Buy), or `full_name`."""
    full_path = _value(item, _PATH)
    if isinstance(full_path, list):
        return tuple(part.get("name") if isinstance(part, dict) else str(part) for part in full_path)
    return tuple(full_path.split(" > ")) if isinstance(full_path, str) else None
