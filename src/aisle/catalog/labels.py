"""Labels as they are written: how a column spells its paths, found over the column as a whole.

A delimiter is never guessed from one label: names hold commas, slashes and ampersands
("Dining, Living Room Furniture", "A/C Units"), and only the column shows which sign parts levels.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aisle.catalog.text import listed, plain
from aisle.taxonomy import CategoryPath

LEVEL_MARK = "\x1f"  # joins level columns, whose names may hold anything else
DELIMITERS = (">>", "->", "::", "»", "→", ">", "|", "<", "/")
SEPARATORS = ("|", ";", "\n", ",")
NOTHING = {"", "-1", "-1.0", "null", "none", "nan", "<na>"}  # how exports write "no level here"
_LETTERS = re.compile(r"(?<!\w)(\w)/(\w)(?!\w)")  # A/C, w/o, 1/2: one sign on either side
_KEEP = "\x1e"


class Style(NamedTuple):
    """How a column writes its labels.

    delimiter: parts levels (None: the column is flat). spaced: only where blanks surround it.
    separator: parts several categories of one product, before one of `roots` where those are known.
    leaf_first: `Shoes < Clothing`.
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
            text = "a column a level"
        else:
            text = f"levels parted by {' ' + self.delimiter + ' ' if self.spaced else self.delimiter!r}"
        text += ", several categories parted by " + repr(self.separator) if self.separator else ""
        return text + (", the leaf first" if self.leaf_first else "")


class Parsed(NamedTuple):
    """What a label says: its acceptable paths, the first the primary one, and what was odd about it."""

    paths: tuple[CategoryPath, ...]
    problem: str = ""


def parse(label: str, style: Style) -> Parsed:
    """Read one label (never raises): a path, several, a JSON list, or nothing."""
    nested = _from_json(label, style)
    if nested is not None:
        return _several(nested)
    return _several([_levels(piece, style) for piece in _pieces(label, style)])


def _pieces(label: str, style: Style) -> list[str]:
    """The whole paths in one cell; a separator inside a name is followed by no root."""
    if style.separator is None:
        return [label]
    pieces: list[str] = []
    whole = True  # whether what stands last among the pieces is a whole path
    for piece in label.split(style.separator):
        rooted = not style.roots or not piece.strip() or _root(piece, style) in style.roots
        if not pieces or (whole if style.leaf_first else rooted):
            pieces.append(piece)
        else:
            pieces[-1] += style.separator + piece
        whole = rooted  # a path that ends with its root ends where a root stands
    return pieces


def _root(text: str, style: Style) -> str:
    return _levels(text, style)[0].strip()


def _parted(text: str, mark: str, style: Style) -> tuple[str, list[str]]:
    """Of a label cut at a sign: the piece that surely holds a root, and the others that are not blank."""
    first, *rest = text.split(mark)[:: -1 if style.leaf_first else 1]
    return first, [piece for piece in rest if piece.strip()]


def _several(pieces: Iterable[list[str]]) -> Parsed:
    paths: list[CategoryPath] = []
    problem = ""
    for raw in pieces:
        names = [" ".join(plain(name).split()) for name in raw]
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


def _levels(text: str, style: Style) -> list[str]:
    mark = style.delimiter
    if mark is None:
        return [text]
    if mark == LEVEL_MARK:
        return text.split(mark)
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


def _from_json(label: str, style: Style) -> list[list[str]] | None:
    """Paths of a JSON list: of names, of paths, of lists of names, or of `{"name": …}` objects."""
    data = listed(label)
    if data is None:
        return None
    items = [_name(item) for item in data]
    if any(isinstance(item, list) for item in items):
        return [[str(_name(n)) for n in i] if isinstance(i, list) else _levels(i, style) for i in items]
    names = [str(item) for item in items]
    if style.delimiter and any(len(_levels(name, style)) > 1 for name in names):
        return [_levels(name, style) for name in names]
    return [names]


def _name(item: Any) -> Any:
    if item is None:
        return ""
    if isinstance(item, dict):
        return str(item.get("name") or item.get("title") or item.get("id") or "")
    return item if isinstance(item, list) else str(item)


def detect(labels: Mapping[str, int], delimiter: str | None = None, separator: str | None = None) -> Style:
    """The style that explains a column of distinct labels (with their counts) best.

    delimiter, separator: given by the user, then not guessed (`""`: there is none).
    """
    texts = _texts(labels)
    if delimiter == "":
        style = Style()
    elif delimiter is not None:
        mark = delimiter.strip() or delimiter
        style = Style(mark, delimiter != mark and _mostly_spaced(texts, mark))
    else:
        style = _guess_delimiter(texts)
    if style.delimiter == "<":
        paths = [_levels(text, style) for text in texts]
        first, last = ({path[i].strip() for path in paths if len(path) > 1} for i in (0, -1))
        style = style._replace(leaf_first=len(last) < len(first))  # roots are fewer than leaves
    if separator is None:
        return _with_separator(texts, style)
    return style._replace(separator=separator or None)


def _texts(labels: Iterable[str]) -> list[str]:
    """The distinct strings in which a delimiter may occur: those inside JSON lists too."""
    texts: dict[str, None] = {}
    for label in labels:
        if label.lstrip().startswith("["):
            nested = _from_json(label, Style())
            if nested is not None:
                texts.update((name, None) for path in nested for name in path)
                continue
        texts[label] = None
    return list(texts)


def _guess_delimiter(texts: list[str]) -> Style:
    found = Counter({mark: sum(_holds(text, mark) for text in texts) for mark in DELIMITERS})
    # `>>` and `->` hold `>`, so a tie goes to the longer sign, which stands first.
    for mark, count in sorted(found.items(), key=lambda item: (-item[1], DELIMITERS.index(item[0]))):
        spaced = count > 0 and _mostly_spaced(texts, mark)
        if count and (mark != "/" or _slash_parts_levels(texts, spaced)):
            return Style(mark, spaced)
    return Style()


def _holds(text: str, mark: str) -> bool:
    if mark == "/":
        text = _LETTERS.sub("", text)
        return any(len(left) > 2 and len(right) > 2 for left, right in _pairs(text.split("/")))
    if mark == ">" and ("->" in text or ">>" in text):
        return ">" in text.replace("->", "").replace(">>", "")
    return mark in text


def _pairs(parts: list[str]) -> Iterable[tuple[str, str]]:
    return zip((p.strip() for p in parts[:-1]), (p.strip() for p in parts[1:]), strict=True)


def _mostly_spaced(texts: list[str], mark: str) -> bool:
    """Whether blanks belong to the delimiter, so that the bare sign inside a name is left alone."""
    holding = [text for text in texts if mark in text]
    spaced = sum(f" {mark} " in text for text in holding)
    return spaced == len(holding) if mark != "/" else spaced > len(holding) / 2


def _slash_parts_levels(texts: list[str], spaced: bool) -> bool:
    """A slash also occurs in flat names (TV/DVD Combos), so it needs proof: first parts that recur."""
    style = Style("/", spaced)
    paths = [[part.strip() for part in _levels(text, style)] for text in texts]
    deep = [path for path in paths if len(path) > 1]
    if len(deep) < len(paths) / 2:
        return False
    roots = Counter(path[0] for path in paths)
    shared = sum(roots[path[0]] > 1 for path in deep)
    return shared >= len(deep) / 2 or len(deep) == len(paths)


def _with_separator(texts: list[str], style: Style) -> Style:
    """Find the sign that parts whole paths: what follows it mostly starts at a root known from elsewhere."""
    for mark in SEPARATORS:
        holding = [text for text in texts if mark in text]
        if not holding or mark == style.delimiter or (style.delimiter is None and mark == ","):
            continue
        roots = frozenset(_root(_parted(text, mark, style)[0], style) for text in texts) - NOTHING
        later = [_parted(text, mark, style)[1] for text in holding]
        fitting = sum(all(_root(piece, style) in roots for piece in pieces) for pieces in later)
        deep = any(len(_levels(p, style)) > 1 and _root(p, style) in roots for ps in later for p in ps)
        if fitting >= len(holding) / 2 and (deep or style.delimiter is None):
            return style._replace(separator=mark, roots=roots)
    return style
