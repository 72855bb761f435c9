"""Simplifies nested values of JSON and XML: terms become names, connections lists, attributes pairs.

The shapes are those of the APIs of WooCommerce, Shopify (REST and GraphQL), Magento, Akeneo and WordPress.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from aisle.data.column_names import rank

_DEPTH = 8
_PATH_NAMES = ("fullname", "fullpath", "breadcrumb", "path")  # of a category, before its own name
_NAMES = ("name", "title", "label")
_PARENTS = ("parent", "parentcategory")
# Keys of an object that is nothing but a named term: a category, tag, brand or vendor.
_TERM_KEYS = {
    *(*_PATH_NAMES, *_NAMES, *_PARENTS, "id", "_id", "gid", "slug", "handle", "code", "key", "uuid"),
    *("parentid", "level", "position", "taxonomy", "termid", "display", "menuorder", "typename"),
    *("isleaf", "isroot", "legacyresourceid", "createdat", "creationat", "updatedat"),
    *("image", "icon", "url", "href", "link", "links", "description", "count"),
}
_IMAGE = re.compile(r"\.(?:jpe?g|png|webp|gif|avif|svg)(?:[?#]|$)", re.I)  # ends the address of an image
_IMAGE_LINKS = ("src", "originalsrc")
_PAIR_VALUES = ("options", "values", "option", "value")
_CODES = ("attribute_code", "value")  # of Magento's custom attributes
_WRAPPERS = ("node", "_source", "attributes", "fields", "product", "item")  # hold the record itself

_FRAME = {  # keys beside a record that say nothing about a product
    *("id", "type", "cursor", "index", "score", "createdtime", "links", "relationships", "version", "sort"),
    "position",
}


def simplify(value: Any, depth: int = 0) -> Any:
    """A nested value without the keys that are not read.

    A connection (`{"edges": [{"node": …}]}`) becomes the list of its nodes, a term (`{"id": 9, "name":
    "Shoes"}`) its name or, with parents, the names of its path, a list of images (`[{"src": …}]`) their
    addresses, a list of attributes (`[{"name": "Color", "options": [...]}]`) an object of name and value, and
    an object of one value (`{"rendered": …}`) that value.

    Args:
        value: A value of JSON.
        depth: How deep it lies; what lies deeper than 8 levels stays as it is.
    """
    if depth > _DEPTH:
        return value
    if isinstance(value, list):
        return _list(value, depth)
    if not isinstance(value, Mapping):
        return value
    nodes = _connection(value)
    if nodes is not None:
        return simplify(nodes, depth + 1)
    term = _term(value)
    if term is not None:
        return term
    if len(value) == 1:
        ((key, only),) = value.items()
        if not isinstance(only, list) and (isinstance(only, Mapping) or key == "rendered" or key[:1] == "$"):
            return simplify(only, depth + 1)
    return value


def _list(items: list[Any], depth: int) -> Any:
    if not items or not all(isinstance(item, Mapping) for item in items):
        return items
    keyed = [{_plain(key): value for key, value in item.items()} for item in items]
    for link in _IMAGE_LINKS:
        if all(isinstance(item.get(link), str) for item in keyed):
            return [item[link] for item in keyed]
    pairs = _pairs(keyed)
    if pairs is not None:
        return pairs
    terms = [_term(item) for item in items]
    if all(term is not None for term in terms):
        return terms
    return [simplify(item, depth + 1) for item in items]


def _plain(key: Any) -> str:
    return str(key).casefold().replace("_", "").replace("-", "")


def _connection(value: Mapping[Any, Any]) -> list[Any] | None:
    """The nodes of a GraphQL connection; None for any other object."""
    edges, nodes = value.get("edges"), value.get("nodes")
    if isinstance(edges, list) and all(isinstance(edge, Mapping) for edge in edges):
        return [edge.get("node", edge) for edge in edges]
    return nodes if isinstance(nodes, list) and set(value) <= {"nodes", "pageInfo", "__typename"} else None


def _term(value: Mapping[Any, Any]) -> str | list[str] | None:
    """The name of a term, or the names of its path where it has parents; None for any other object."""
    keyed = {_plain(key).strip("_"): _typed(item) for key, item in value.items()}
    if len(keyed) < 2 or not set(keyed) <= _TERM_KEYS:
        return None
    parent = next((keyed[key] for key in _PARENTS if isinstance(keyed.get(key), Mapping)), None)
    rest = [item for key, item in keyed.items() if key not in (*_PARENTS, "image", "icon", "links")]
    if any(isinstance(item, list | Mapping) for item in rest):
        return None
    if any(isinstance(keyed.get(key), str) and _IMAGE.search(keyed[key]) for key in ("url", "href", "link")):
        return None  # an image with a name
    name = next((keyed[key] for key in (*_PATH_NAMES, *_NAMES) if isinstance(keyed.get(key), str)), None)
    if name is None or parent is None:
        return name
    above = _term(parent)
    return None if above is None else [*(above if isinstance(above, list) else [above]), name]


def _typed(value: Any) -> Any:
    """The value of MongoDB's `{"$oid": "5"}`; other values as they are."""
    if isinstance(value, Mapping) and len(value) == 1:
        ((key, only),) = value.items()
        return _typed(only) if str(key).startswith("$") else value
    return value


def _pairs(items: list[dict[str, Any]]) -> dict[str, str] | None:
    """Attributes as one object of name and value; None for any other list."""
    pairs: dict[str, str] = {}
    for item in items:
        name = item.get("name", item.get("key", item.get("code")))
        value = next((item[key] for key in _PAIR_VALUES if key in item), None)
        values = value if isinstance(value, list) else [value]
        if not isinstance(name, str) or value is None or any(isinstance(v, list | Mapping) for v in values):
            return None
        text = ", ".join(str(v) for v in values if v is not None)
        pairs[name] = f"{pairs[name]}, {text}" if name in pairs else text
    return pairs


def unwrap(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record of an API as one flat mapping of columns.

    `{"node": {...}}` (GraphQL), `{"_id": 1, "_source": {...}}` (Elasticsearch), `{"id": 1, "attributes":
    {...}}` (JSON:API) and `{"id": 1, "fields": {...}}` (Airtable) become their inner object and the other
    single values; `custom_attributes` of Magento and `values` of Akeneo become columns.

    Args:
        record: The record. It is not changed, and returned itself where nothing is to be unwrapped.
    """
    for key in _WRAPPERS:
        inner = record.get(key)
        rest = {name: value for name, value in record.items() if name != key}
        if isinstance(inner, Mapping) and inner and _is_frame(key, rest):
            record = {**{name: v for name, v in rest.items() if not isinstance(v, list | Mapping)}, **inner}
            break
    coded = record.get("custom_attributes")
    if isinstance(coded, list) and coded and all(_has(item, _CODES) for item in coded):
        columns = {item["attribute_code"]: _joined(item["value"]) for item in coded}
        record = columns | {name: value for name, value in record.items() if name != "custom_attributes"}
    values = record.get("values")
    if isinstance(values, Mapping) and values and all(map(_is_contexts, values.values())):
        known = {name: _joined(value) for name, value in record.items() if name != "values"}
        record = known | _by_context(values)
    return record


def merge_variants(variants: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The columns of a product's variants as those of one record.

    An id is that of the first variant, a column of images lists those of all, and other columns name each
    value once.

    Args:
        variants: Their records, in order.
    """
    values: dict[str, list[Any]] = {}
    for variant in variants:
        for name, value in variant.items():
            known = values.setdefault(name, [])
            known += [part for part in _parts(value) if part not in known]
    return {name: _merged(name, parts) for name, parts in values.items() if parts}


def _parts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value not in (None, "") else []


def _merged(name: str, values: list[Any]) -> Any:
    if len(values) == 1 or rank("id", name) is not None:
        return values[0]
    is_image = rank("images", name) is not None or rank("more_images", name) is not None
    return values if is_image or not _are_codes(values) else ", ".join(map(str, values))


def _is_frame(key: str, rest: Mapping[str, Any]) -> bool:
    """Whether the other keys contain no data about a product."""
    names = {_plain(name).strip("_@") for name in rest}
    return names <= _FRAME and (key != "attributes" or "type" in names)


def _joined(value: Any) -> Any:
    """A list of codes as these platforms' CSV files write it; other values as they are."""
    return ",".join(map(str, value)) if isinstance(value, list) and _are_codes(value) else value


def _are_codes(values: list[Any]) -> bool:
    return all(isinstance(value, str | int) for value in values)


def _has(item: Any, keys: tuple[str, ...]) -> bool:
    return isinstance(item, Mapping) and all(key in item for key in keys)


def _is_contexts(values: Any) -> bool:
    """Whether a value is Akeneo's: `[{"locale": "en_US", "scope": null, "data": "Shirt"}]`."""
    return isinstance(values, list) and all(
        isinstance(value, Mapping) and "data" in value and "locale" in value for value in values
    )


def _by_context(values: Mapping[str, list[Mapping[str, Any]]]) -> dict[str, Any]:
    """Columns as in Akeneo's CSV: `name-en_US-ecommerce`."""
    return {
        "-".join(str(part) for part in (name, value["locale"], value.get("scope")) if part): value["data"]
        for name, contexts in values.items()
        for value in contexts
    }
