"""Parses one label in the style of its column.

`label_styles.detect_style` detects the style over the whole column: names contain commas, slashes and
ampersands ("Dining, Living Room Furniture", "A/C Units"), and only the column shows which of them separates
levels.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from aisle.data.text import fold_spelling, parse_list, strip_markup
from aisle.encodings import decode_entities
from aisle.taxonomy import CategoryPath

LEVEL_MARK = "\x1f"  # joins the cells of level columns
BLANK_NAMES = {"", "-1", "-1.0", "null", "none", "nan", "<na>"}  # cells that mean that there is no level
_EQUIVALENT = {">": "＞", "＞": ">", ">>": "＞＞", "＞＞": ">>"}  # equivalent delimiters
_LETTERS = re.compile(r"(?<!\w)(\w)/(\w)(?!\w)")  # A/C, w/o, 1/2: one letter on either side
_SLASH = "\x1e"
_ESCAPES = {",": "\ue000", ";": "\ue001", "|": "\ue002", ">": "\ue003"}
_ESCAPED = re.compile(r"\\([,;|>])")
_UNESCAPE = {ord(placeholder): mark for mark, placeholder in _ESCAPES.items()}


class LabelStyle(NamedTuple):
    """How the labels of a column are written.

    Attributes:
        delimiter: Separates levels; None in a flat column.
        spaced: Whether the delimiter needs blanks around it.
        separator: Separates several categories of one product.
        leaf_first: Whether the leaf comes first: `Shoes < Clothing`.
        roots: Names of level 1, folded by `fold_spelling`. If there are any, a separator counts only before
            one of them.
        common: Names in nearly every list of categories, folded likewise. They come last.
    """

    delimiter: str | None = None
    spaced: bool = False
    separator: str | None = None
    leaf_first: bool = False
    roots: frozenset[str] = frozenset()
    common: frozenset[str] = frozenset()

    def __str__(self) -> str:
        if self.delimiter is None:
            text = "flat"
        elif self.delimiter == LEVEL_MARK:
            text = "one column per level"
        else:
            text = f"levels separated by {' ' + self.delimiter + ' ' if self.spaced else self.delimiter!r}"
        if self.separator == LEVEL_MARK:
            text += ", one column per category"
        elif self.separator:
            text += f", several categories separated by {self.separator!r}"
        return text + (", the leaf first" if self.leaf_first else "")


class ParsedLabel(NamedTuple):
    """The acceptable paths of a label, the primary one first, and its problem."""

    paths: tuple[CategoryPath, ...]
    problem: str = ""


def protect_escapes(label: str) -> str:
    r"""Replace escaped separators (`\,`) by placeholders."""
    return _ESCAPED.sub(lambda found: _ESCAPES[found[1]], label) if "\\" in label else label


def has_escapes(labels: Iterable[str], mark: str) -> bool:
    """Whether any label contains an escaped `mark`."""
    return mark in _ESCAPES and any(_ESCAPES[mark] in label for label in labels)


def parse_label(label: str, style: LabelStyle) -> ParsedLabel:
    """Parse one label: a path, several paths, a JSON list, or an empty text. Never raises."""
    nested = from_json(label, style)
    if nested is not None:
        return _to_paths(nested)
    text = protect_escapes(decode_entities(label))
    paths, problem = _to_paths([levels_of(piece, style) for piece in _split_paths(text, style)])
    # `Sale` comes after full paths, `All products` after every other name
    best_first = sorted(
        paths, key=lambda path: len(path) == 1 and 1 + (fold_spelling(path[0]) in style.common)
    )
    return ParsedLabel(tuple(best_first), problem)


def _split_paths(label: str, style: LabelStyle) -> list[str]:
    """Split a cell into paths; a separator that is not followed by a root is part of a name."""
    if style.separator is None:
        return [label]
    parts = split_at(label, style.separator, style)
    pieces: list[str] = []
    complete = True  # whether the last piece is a complete path
    for i, piece in enumerate(parts):
        rooted = not style.roots or not piece.strip() or _starts_with_root(parts[i : i + 4], style)
        if not pieces or (complete if style.leaf_first else rooted):
            pieces.append(piece)
        else:
            pieces[-1] += style.separator + piece
        complete = rooted  # leaf first: a path ends with its root
    return pieces


def split_at(label: str, mark: str, style: LabelStyle) -> list[str]:
    """Split a label at `mark`, but not where a level's name starts with it (`Sony > |Home Theater`)."""
    pieces: list[str] = []
    for piece in label.split(mark):
        if pieces and style.delimiter and pieces[-1].rstrip().endswith(style.delimiter):
            pieces[-1] += mark + piece
        else:
            pieces.append(piece)
    return pieces


def _starts_with_root(parts: list[str], style: LabelStyle) -> bool:
    """Whether the pieces start with a root; roots may contain the separator."""
    if root_of(parts[0], style) in style.roots:
        return True
    mark = f"{style.separator} "
    starts = (mark.join(piece.strip() for piece in parts[:stop]) for stop in range(2, len(parts) + 1))
    return not style.leaf_first and any(root_of(start, style) in style.roots for start in starts)


def root_of(text: str, style: LabelStyle) -> str:
    """The level-1 name of a path, folded by `fold_spelling`."""
    return fold_spelling(levels_of(text, style)[0])


def _to_paths(pieces: Iterable[list[str]]) -> ParsedLabel:
    paths: list[CategoryPath] = []
    problem = ""
    for written in pieces:
        names = [" ".join(strip_markup(name.translate(_UNESCAPE)).split()) for name in written]
        names = ["" if name.casefold() in BLANK_NAMES else name for name in names]
        while names and not names[-1]:
            names.pop()
        path = tuple(name for name in names if name)
        if len(path) < len(names):
            blank = names.index("") + 1
            problem = f"level {blank} is blank although level {len(names)} is not; read without it"
        if path and path not in paths:
            paths.append(path)
    return ParsedLabel(tuple(paths), problem)


def levels_of(text: str, style: LabelStyle) -> list[str]:
    """The names of one path, level 1 first."""
    mark = style.delimiter
    if mark is None:
        return [text]
    if mark == LEVEL_MARK:
        return text.split(mark)
    if mark in _EQUIVALENT:
        text = text.replace(_EQUIVALENT[mark], f" {mark} " if style.spaced else mark)
    if style.spaced:
        parts = re.split(rf"(?:^|\s+){re.escape(mark)}(?:\s+|$)", text.strip())
    else:
        if mark == "/":
            text = _LETTERS.sub(rf"\1{_SLASH}\2", text)
        parts = [
            part.replace(_SLASH, "/")
            for part in text.strip().removeprefix(mark).removesuffix(mark).split(mark)
        ]
    return parts[::-1] if style.leaf_first else parts


def from_json(label: str, style: LabelStyle) -> list[list[str]] | None:
    """Paths of a JSON list: of names, of paths, of ids, of lists of names, or of `{"name": …}` objects."""
    data = parse_list(label)
    if data is None:
        data = parse_list(decode_entities(label)) if "&" in label else None
    if data is None:
        return None
    items = [_item_name(item) for item in data]
    if any(isinstance(item, list) for item in items):
        return [
            [str(_item_name(n)) for n in i] if isinstance(i, list) else levels_of(i, style) for i in items
        ]
    names = [str(item) for item in items]
    if data and all(isinstance(item, int) for item in data):  # several categories by their ids
        return [[name] for name in names]
    if style.delimiter and any(len(levels_of(name, style)) > 1 for name in names):
        return [levels_of(name, style) for name in names]
    return [names]


def _item_name(item: Any) -> Any:
    if item is None:
        return ""
    if isinstance(item, dict):
        item = item.get("name") or item.get("title") or item.get("id") or ""
    return item if isinstance(item, list) else decode_entities(str(item))
