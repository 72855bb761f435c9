"""Splits cells of a dialect: lists, categories, images and attributes."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from aisle.data.dialects.schema import AUTO, AttributeLists, CategoryRules, ImageRules
from aisle.data.image_names import image_names, structured
from aisle.data.text import parse_list
from aisle.encodings import decode_entities

LEVEL, CATEGORY = " > ", "\n"  # the delimiter and the separator of categories once they are read
Path = tuple[str, ...]
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_BETWEEN = re.compile(r"[|;,\s]+(?=https?://)", re.IGNORECASE)
_MEDIA = re.compile(r"\w+~mv2[\w.]*")  # a name of stored media
_NO_IMAGE = ("no_selection", "null", "none")
_BACKSLASHES = str.maketrans({"¥": "\\", "￥": "\\", "＼": "\\"})  # byte 5C in Japanese encodings


@lru_cache(256)
def _unescaped(mark: str, escape: str | None) -> re.Pattern[str]:
    """Matches a mark without the escape character before it."""
    text = r"\s*".join(map(re.escape, mark.split())) or (r"\s+" if mark == " " else re.escape(mark))
    return re.compile(rf"(?<!{re.escape(escape)}){text}" if escape else text)


def split_list(cell: str, mark: str | None, escape: str | None) -> list[str]:
    """The parts of a cell, without blank ones.

    Args:
        cell: The cell.
        mark: What stands between two parts; None where the cell is one part.
        escape: The character that makes a mark after it literal; None where there is none.
    """
    parts = [cell] if mark is None else _unescaped(mark, escape).split(cell)
    if escape and mark:
        parts = [part.replace(escape + mark.strip(), mark.strip()) for part in parts]
    return [part.strip() for part in parts if part.strip()]


def category_paths(cell: str, rules: CategoryRules, names: Mapping[str, Path] | None = None) -> list[Path]:
    """The categories in a cell, level 1 first.

    Args:
        cell: The cell: categories as the platform writes them, or a JSON list of objects with names.
        rules: How they are written.
        names: Code -> path, where cells hold codes.
    """
    listed = parse_list(cell) if cell.lstrip().startswith("[") else None
    if rules.delimiter == "\\":
        cell = cell.translate(_BACKSLASHES)
    if listed is not None and rules.levels_listed:
        path = tuple(text for item in listed for text in _listed_category(item))
        return [path] if path else []
    if listed is not None:
        texts = [decode_entities(text) for item in listed for text in _listed_category(item)]
    else:
        texts = _split_categories(decode_entities(cell), rules)
    paths = []
    for text_ in texts:
        if names is not None and text_ in names:
            path = names[text_]
        else:
            path = tuple(" ".join(name.split()) for name in split_list(text_, rules.delimiter, rules.escape))
        if path:
            paths.append(path)
    return list(dict.fromkeys(paths))


def _split_categories(cell: str, rules: CategoryRules) -> list[str]:
    """The categories of a cell; an escaped delimiter stays escaped until levels are split."""
    return split_list(cell, None if rules.separator == AUTO else rules.separator, rules.escape)


def _listed_category(item: object) -> Iterator[str]:
    if isinstance(item, str):
        yield item
    elif isinstance(item, Mapping):
        name = item.get("path") or item.get("name") or item.get("title") or item.get("id")
        if name is not None:
            yield str(name)
    elif isinstance(item, list):
        yield from (text for inner in item for text in _listed_category(inner))


def category_text(paths: Iterable[Path]) -> str:
    """The text of categories that `read_labels` reads back: `A > B`, one a line."""
    return CATEGORY.join(LEVEL.join(name.replace(">", "\\>") for name in path) for path in paths)


def image_list(cell: str, rules: ImageRules) -> list[str]:
    """The images in a cell: paths or URLs.

    Args:
        cell: The cell: names with a separator, or a JSON list of names or of objects with addresses.
        rules: How images are written.
    """
    items = structured(cell)
    names = image_names(items) if items is not None else split_list(cell, rules.separator, rules.escape)
    if rules.separator and len(names) == 1 and len(_ADDRESS.findall(cell)) > 1:
        names = [name.strip(" |;,\n") for name in _BETWEEN.split(cell)]  # another tool's separator
    if rules.cut:
        names = [name.split(rules.cut)[0].strip() for name in names]
    if rules.media:
        names = [rules.media + name if _MEDIA.fullmatch(name) else name for name in names]
    if rules.relative:
        names = [name.lstrip("/") if not name.startswith("//") else name for name in names]
    return [name for name in names if name and name.casefold() not in _NO_IMAGE]


def image_text(names: Sequence[str]) -> str:
    """The text of a cell with these images."""
    plain = len(names) == 1 and not re.search(r"[|;,\s\[\]{}]", names[0])
    return names[0] if plain else json.dumps(list(names), ensure_ascii=False) if names else ""


def attribute_list(cell: str, rules: AttributeLists) -> list[tuple[str, str]]:
    """(name, value) of each attribute in `color=Black,size="M, L"`.

    A part without a name continues the value before it: `features=One, two`.

    Args:
        cell: The cell, or a JSON list of attributes.
        rules: How attributes are listed.
    """
    if cell.lstrip().startswith(("[", "{")):
        return [pair for item in structured(cell) or [] for pair in _listed_attributes(item)]
    found: list[tuple[str, str]] = []
    for part in _parts(cell, rules):
        name, sign, value = part.partition(rules.equals)
        if sign and name.strip() and not name[0].isspace():
            found.append((name.strip().strip('"'), value))
        elif found:
            found[-1] = (found[-1][0], found[-1][1] + rules.separator + part)
    if rules.cut:
        found = [(name, value.split(rules.cut)[0]) for name, value in found]
    pairs = ((name, _unquoted(value)) for name, value in found if name not in rules.skip)
    return [(name, value) for name, value in pairs if value]


def _parts(cell: str, rules: AttributeLists) -> list[str]:
    lists = [cell] if rules.record is None else _outside_quotes(cell, rules.record)
    return [part for item in lists for part in _outside_quotes(item, rules.separator)]


def _listed_attributes(item: object) -> Iterator[tuple[str, str]]:
    """`{"name": "Color", "options": ["Red", "Blue"]}`, or `{"Color": "Red"}`."""
    if not isinstance(item, Mapping):
        return
    name, pairs = item.get("name"), list(item.items())
    if name:
        pairs = [(name, item.get(key)) for key in ("options", "option", "values", "value")]
    for key, value in pairs:
        values = value if isinstance(value, list) else [value]
        texts = [str(one) for one in values if one not in (None, "") and not isinstance(one, dict)]
        if texts:
            yield str(key), ", ".join(texts)


def _outside_quotes(cell: str, mark: str) -> list[str]:
    """The parts of a cell between marks that no double quotes surround."""
    parts = cell.split(mark)
    if '"' not in cell:
        return parts
    joined: list[str] = []
    is_open = False
    for part in parts:
        if is_open:
            joined[-1] += mark + part
        else:
            joined.append(part)
        is_open ^= part.count('"') % 2 == 1
    return joined


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1].replace('""', '"')
    return value.strip()
