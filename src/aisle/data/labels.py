"""Parsing of one label, given the style of its column.

`label_styles.detect` finds the style over the whole column: names hold commas, slashes and ampersands
("Dining, Living Room Furniture", "A/C Units"), and only the column shows which sign separates levels.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from aisle.data.text import fold_spelling, parse_list, strip_markup
from aisle.encodings import decode_entities
from aisle.taxonomy import CategoryPath

LEVEL_MARK = "\x1f"  # joins level columns, whose names may hold anything else
NOTHING = {"", "-1", "-1.0", "null", "none", "nan", "<na>"}  # how exports write "no level here"
_SAME = {">": "＞", "＞": ">", ">>": "＞＞", "＞＞": ">>"}  # signs that mean the same in one column
_LETTERS = re.compile(r"(?<!\w)(\w)/(\w)(?!\w)")  # A/C, w/o, 1/2: one sign on either side
_KEEP = "\x1e"
_ESCAPES = {",": "\ue000", ";": "\ue001", "|": "\ue002", ">": "\ue003"}
_ESCAPED = re.compile(r"\\([,;|>])")
_LITERAL = {ord(kept): sign for sign, kept in _ESCAPES.items()}


class LabelStyle(NamedTuple):
    """How a column writes its labels.

    delimiter: parts levels (None: the column is flat). spaced: only where blanks surround it.
    separator: parts several categories of one product, before one of `roots` (as `spelled` writes them)
    where those are known. leaf_first: `Shoes < Clothing`.
    """

    delimiter: str | None = None
    spaced: bool = False
    separator: str | None = None
    leaf_first: bool = False
    roots: frozenset[str] = frozenset()

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


class Parsed(NamedTuple):
    """What a label says: its acceptable paths, the first the primary one, and what was odd about it."""

    paths: tuple[CategoryPath, ...]
    problem: str = ""


def protected(label: str) -> str:
    r"""A label whose escaped signs (`\,`) are stood in for, so that they part nothing."""
    return _ESCAPED.sub(lambda found: _ESCAPES[found[1]], label) if "\\" in label else label


def has_escapes(labels: Iterable[str], mark: str) -> bool:
    """Whether any protected label held an escaped mark."""
    return mark in _ESCAPES and any(_ESCAPES[mark] in label for label in labels)


def parse(label: str, style: LabelStyle) -> Parsed:
    """Read one label (never raises): a path, several, a JSON list, or nothing."""
    nested = from_json(label, style)
    if nested is not None:
        return _several(nested)
    text = protected(decode_entities(label))
    paths, problem = _several([levels_of(piece, style) for piece in _pieces(text, style)])
    return Parsed(tuple(sorted(paths, key=lambda path: len(path) == 1)), problem)  # `Sale` after a place


def _pieces(label: str, style: LabelStyle) -> list[str]:
    """The whole paths in one cell; a separator inside a name is followed by no root."""
    if style.separator is None:
        return [label]
    cut = cut_at(label, style.separator, style)
    pieces: list[str] = []
    whole = True  # whether what stands last among the pieces is a whole path
    for i, piece in enumerate(cut):
        rooted = not style.roots or not piece.strip() or _starts_with_root(cut[i : i + 4], style)
        if not pieces or (whole if style.leaf_first else rooted):
            pieces.append(piece)
        else:
            pieces[-1] += style.separator + piece
        whole = rooted  # a path that ends with its root ends where a root stands
    return pieces


def cut_at(label: str, mark: str, style: LabelStyle) -> list[str]:
    """A label cut at a sign, but not where the sign starts a level's name (`Sony > |Home Theater`)."""
    pieces: list[str] = []
    for piece in label.split(mark):
        if pieces and style.delimiter and pieces[-1].rstrip().endswith(style.delimiter):
            pieces[-1] += mark + piece
        else:
            pieces.append(piece)
    return pieces


def _starts_with_root(cut: list[str], style: LabelStyle) -> bool:
    """Whether the first piece starts with a root, or with the first part of one that holds the separator."""
    if root_of(cut[0], style) in style.roots:
        return True
    mark = f"{style.separator} "
    starts = (mark.join(piece.strip() for piece in cut[:stop]) for stop in range(2, len(cut) + 1))
    return not style.leaf_first and any(root_of(start, style) in style.roots for start in starts)


def root_of(text: str, style: LabelStyle) -> str:
    """The topmost name of a path, as `spelled` writes it."""
    return fold_spelling(levels_of(text, style)[0])


def _several(pieces: Iterable[list[str]]) -> Parsed:
    paths: list[CategoryPath] = []
    problem = ""
    for raw in pieces:
        names = [" ".join(strip_markup(name.translate(_LITERAL)).split()) for name in raw]
        names = ["" if name.casefold() in NOTHING else name for name in names]
        while names and not names[-1]:
            names.pop()
        path = tuple(name for name in names if name)
        if len(path) < len(names):
            blank = names.index("") + 1
            problem = f"level {blank} is blank although level {len(names)} is not; read without it"
        if path and path not in paths:
            paths.append(path)
    return Parsed(tuple(paths), problem)


def levels_of(text: str, style: LabelStyle) -> list[str]:
    """The names of one path as the style parts them, the topmost first."""
    mark = style.delimiter
    if mark is None:
        return [text]
    if mark == LEVEL_MARK:
        return text.split(mark)
    if mark in _SAME:
        text = text.replace(_SAME[mark], f" {mark} " if style.spaced else mark)
    if style.spaced:
        parts = re.split(rf"(?:^|\s+){re.escape(mark)}(?:\s+|$)", text.strip())
    else:
        if mark == "/":
            text = _LETTERS.sub(rf"\1{_KEEP}\2", text)
        parts = [
            part.replace(_KEEP, "/")
            for part in text.strip().removeprefix(mark).removesuffix(mark).split(mark)
        ]
    return parts[::-1] if style.leaf_first else parts


def from_json(label: str, style: LabelStyle) -> list[list[str]] | None:
    """Paths of a JSON list: of names, of paths, of lists of names, or of `{"name": …}` objects."""
    data = parse_list(label)
    if data is None:
        data = parse_list(decode_entities(label)) if "&" in label else None
    if data is None:
        return None
    items = [_name(item) for item in data]
    if any(isinstance(item, list) for item in items):
        return [[str(_name(n)) for n in i] if isinstance(i, list) else levels_of(i, style) for i in items]
    names = [str(item) for item in items]
    if style.delimiter and any(len(levels_of(name, style)) > 1 for name in names):
        return [levels_of(name, style) for name in names]
    return [names]


def _name(item: Any) -> Any:
    if item is None:
        return ""
    if isinstance(item, dict):
        item = item.get("name") or item.get("title") or item.get("id") or ""
    return item if isinstance(item, list) else decode_entities(str(item))
