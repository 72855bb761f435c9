"""Reads image names from objects: `{"src": …}`, lists of them, or objects of several sizes."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from aisle.data.column_names import names_table

_TABLE = names_table()["image_objects"]  # compared without case and punctuation
_SIZE_RANK = {key: i for i, key in enumerate(_TABLE["names"])}  # keys of one image, the best resolution first
_SIZES = frozenset(_TABLE["sizes"])  # keys whose value is the same image in other sizes
_WRAPPERS = frozenset(_TABLE["wrappers"])  # keys whose value wraps the image
_NO_IMAGE = frozenset(_TABLE["others"])
_WIDTH = re.compile(r"(\d{2,5})(?:\s*[xX×]\s*(?:\d{1,5}|n))?|^(\d)[kx]$", re.IGNORECASE)
_LINK = re.compile(
    r"(?:https?:)?//|[^\s]*\.(?:jpe?g|png|webp|gif|bmp|tiff?|avif|jp2)(?:[?#]\S*)?$", re.IGNORECASE
)
_DEPTH = 8


def structured(cell: str) -> list[Any] | None:
    """Parse a cell that holds JSON or Python lists and objects; None if it is plain text."""
    text = cell.strip()
    if not text or (text[0], text[-1]) not in (("[", "]"), ("{", "}")):
        return None
    for candidate in (text, f"[{text}]", "[" + re.sub(r"}\s*[|;\n]\s*{", "},{", text) + "]"):
        for read in (json.loads, ast.literal_eval):
            try:
                value = read(candidate)
            except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
                continue
            return list(value) if isinstance(value, list | tuple) else [value]
    return None


def image_names(value: Any, depth: int = 0) -> list[str]:
    """The path or URL of each image in a value, in order; of several sizes, the best."""
    if depth > _DEPTH or value is None:
        return []
    if isinstance(value, str):
        parsed = structured(value)
        return image_names(parsed, depth + 1) if parsed is not None else [value.strip()] * bool(value.strip())
    if isinstance(value, list | tuple):
        return [name for item in value for name in image_names(item, depth + 1)]
    if isinstance(value, Mapping):
        return _names_in_object(value, depth)
    return []


def _names_in_object(value: Mapping[Any, Any], depth: int) -> list[str]:
    items = {
        re.sub(r"[\W_]+", "", str(key)).casefold(): item for key, item in value.items() if item is not None
    }
    objects = _transpose(items)
    if objects is not None:
        return image_names(objects, depth + 1)
    best = _name_of_best_size(items, depth)
    if best:
        return [best]
    if _is_numbered(items):
        return image_names(list(items.values()), depth + 1)
    inner = [item for key, item in items.items() if key not in _NO_IMAGE and isinstance(item, Mapping | list)]
    names = [name for item in inner for name in image_names(item, depth + 1) if _LINK.match(name)]
    texts = (item for key, item in items.items() if key not in _NO_IMAGE and isinstance(item, str))
    return names or [text.strip() for text in texts if _LINK.match(text.strip())]


def _name_of_best_size(items: Mapping[str, Any], depth: int) -> str | None:
    """The name of the image that an object describes, in its largest size; None if it describes several."""
    ranked_keys = [
        key for key in items if key in _SIZE_RANK and isinstance(items[key], str) and items[key].strip()
    ]
    for key in sorted(ranked_keys, key=_SIZE_RANK.__getitem__):
        if (
            key not in ("file", "filename", "name", "image", "path")
            or len(ranked_keys) == 1
            or _LINK.match(items[key])
        ):
            return _largest_of_set(items[key]) if key == "srcset" else _first_name(items[key], depth)
    inner = {key: item for key, item in items.items() if isinstance(item, Mapping)}
    sizes = [*_by_size_keys(items, depth), *_by_named_sizes(inner, depth)]
    if sizes:
        return max(sizes)[1]
    for key, item in items.items():
        if key in _WRAPPERS and isinstance(item, Mapping):
            names = _names_in_object(item, depth + 1) if depth < _DEPTH else []
            if len(names) == 1:
                return names[0]
        if key in _SIZES:
            sizes_list = (
                list(item.values()) if isinstance(item, Mapping) else item if isinstance(item, list) else []
            )
            pairs = [pair for part in sizes_list for pair in _width_and_name(part, depth)]
            if pairs:
                return max(pairs, key=lambda pair: pair[0])[1]
    return None


def _first_name(text: str, depth: int) -> str | None:
    """A string, or the first image of the list or object in it."""
    names = image_names(text, depth + 1)
    return names[0] if names else None


def _by_size_keys(items: Mapping[str, Any], depth: int) -> Iterator[tuple[float, str]]:
    """(width, name) of keys that are sizes: `800x800`, `url570xn`, `w1200`."""
    if _is_numbered(items):
        return
    for key, item in items.items():
        match = _WIDTH.search(key)
        if match and key not in _SIZE_RANK:
            width = float(match[1]) if match[1] else 1000.0 * float(match[2])
            for name in image_names(item, depth + 1)[:1]:
                if _LINK.match(name):
                    yield width, name


def _by_named_sizes(inner: Mapping[str, Any], depth: int) -> Iterator[tuple[float, str]]:
    """(rank, name) of objects under keys that are sizes: `{"large": {"url": …}, "small": {"url": …}}`."""
    known = [key for key in inner if key in _SIZE_RANK and key not in _WRAPPERS]
    for key in known:
        for width, name in _width_and_name(inner[key], depth):
            yield (width or -float(_SIZE_RANK[key])), name


def _width_and_name(item: Any, depth: int) -> list[tuple[float, str]]:
    names = image_names(item, depth + 1)[:1]
    if not names:
        return []
    size = item if isinstance(item, Mapping) else {}
    try:
        return [(float(size.get("width") or size.get("w") or size.get("height") or 0), names[0])]
    except (TypeError, ValueError):
        return [(0.0, names[0])]


def _largest_of_set(srcset: str) -> str | None:
    """`a.jpg 300w, b.jpg 1200w` -> `b.jpg`."""
    candidates = re.findall(r"(\S+)\s+([\d.]+)[wx](?:,|$)", srcset)
    return max(candidates, key=lambda pair: float(pair[1]))[0] if candidates else None


def _is_numbered(items: Mapping[str, Any]) -> bool:
    """Whether the keys are numbers in order: `{"0": …, "1": …}`."""
    keys = list(items)
    return keys in ([str(i) for i in range(len(keys))], [str(i + 1) for i in range(len(keys))]) and bool(keys)


def _transpose(items: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """`{"large": [a, b], "hi_res": [c, None]}` as one object per image."""
    lists = {
        key: item for key, item in items.items() if isinstance(item, list) and key in {*_SIZE_RANK, "variant"}
    }
    if len(lists) < 2 and not (lists and len(items) == 1 and next(iter(lists)) in _SIZE_RANK):
        return None
    length = max(map(len, lists.values()))
    if any(isinstance(part, Mapping | list) for item in lists.values() for part in item):
        return None
    return [{key: item[i] for key, item in lists.items() if i < len(item)} for i in range(length)]
