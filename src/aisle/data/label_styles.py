"""Detects how the labels of a column are written, from all its distinct labels."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from aisle.data.labels import (
    BLANK_NAMES,
    LEVEL_MARK,
    LabelStyle,
    from_json,
    has_escapes,
    levels_of,
    protect_escapes,
    root_of,
    split_at,
)
from aisle.data.text import fold_spelling
from aisle.encodings import decode_entities

DELIMITERS = (
    *(">>", "->", "=>", "::", "»", "›", "→", "⇒", "≫", "＞＞", ">", "＞", "|", "｜", "<", "/", "／"),
    *("\\\\", "\\", "＼", "¥", "￥"),
)
SEPARATORS = ("|", ";", "\n", ",", "；", "，", "、")
_COMMAS = {",", "，", "、"}
# Delimiters that also occur in flat names, such as TV/DVD Combos.
_AMBIGUOUS_DELIMITERS = {"/", "／", "\\\\", "\\", "＼", "¥", "￥"}
_LETTERS = re.compile(r"(?<!\w)(\w)/(\w)(?!\w)")
_SIGN = re.compile(r"(?<=\S)(\s*)((?:[^\w\s()\[\]{}\"“”„«»]|_)+)(\s*)(?=\S)")
_ANY_SEPARATOR = re.compile(r"[,;|\n]")  # possible separators of categories
_CONJUNCTION = re.compile(r"&|\+|\b(?:and|und|et|y|e|en|og|och|i|и|ve)\b")  # `Mugs, Cups & Jars` is one name
_FEW_LISTS = 4  # fewer lists of categories do not show which name is in every one
_PUNCTUATION = {"-", "'", "’", ".", "&", "+", "_", ",", "–"}  # punctuation of many names


def detect_style(
    labels: Iterable[str], delimiter: str | None = None, separator: str | None = None
) -> LabelStyle:
    """Detect the style of a column.

    Args:
        labels: The distinct labels.
        delimiter: The delimiter of levels, if the user states it; `""` states that there is none.
        separator: The separator of categories, likewise.
    """
    texts = _texts(labels)
    if delimiter == LEVEL_MARK:
        return LabelStyle(LEVEL_MARK)
    if delimiter == "":
        style = LabelStyle()
    elif delimiter is not None:
        mark = delimiter.strip() or delimiter
        style = LabelStyle(mark, delimiter != mark and _mostly_spaced(texts, mark))
    else:
        style = _guess_delimiter(texts)
    if style.delimiter == "<":
        paths = [levels_of(piece, style) for text in texts for piece in _ANY_SEPARATOR.split(text)]
        first, last = ({path[i].strip() for path in paths if len(path) > 1} for i in (0, -1))
        style = style._replace(leaf_first=len(last) < len(first))  # roots are fewer than leaves
    if separator is None:
        style = _with_separator(texts, style)
    else:
        style = style._replace(separator=separator or None)
    return style._replace(common=_common_names(texts, style)) if style.separator else style


def detect_style_of_columns(labels: Iterable[str]) -> LabelStyle:
    """Detect the style of several columns: levels, or categories where the cells are full paths.

    `Home` and `Home > Fridges` are categories of one product.

    Args:
        labels: The distinct labels; `LEVEL_MARK` joins the cells of a row.
    """
    rows = [[protect_escapes(decode_entities(cell)) for cell in label.split(LEVEL_MARK)] for label in labels]
    rows = [[cell for cell in row if cell.strip().casefold() not in BLANK_NAMES] for row in rows]
    cells = list(dict.fromkeys(cell for row in rows for cell in row))
    later = [row for row in rows if len(row) > 1]
    style = _guess_delimiter(cells)
    if style.delimiter is None or not later:
        return LabelStyle(LEVEL_MARK)
    nested = rooted = total = 0
    roots = {root_of(row[0], style) for row in rows if row}
    for row in later:
        above = levels_of(row[0], style)
        for cell in row[1:]:
            path = levels_of(cell, style)
            total += 1
            nested += len(path) > len(above) and path[: len(above)] == above
            rooted += root_of(cell, style) in roots
            above = path
    if sum(len(levels_of(cell, style)) > 1 for cell in cells) < len(cells) / 3:
        return LabelStyle(LEVEL_MARK)
    enough = nested if style.delimiter in _AMBIGUOUS_DELIMITERS else max(nested, rooted)
    if enough < 0.9 * total:
        return LabelStyle(LEVEL_MARK)
    return style._replace(separator=LEVEL_MARK)


def unread_sign(labels: Iterable[str], style: LabelStyle) -> str | None:
    """A mark, with blanks around it, that every label of a flat column contains: a possible delimiter."""
    texts = [text.strip() for text in _texts(labels) if text.strip().casefold() not in BLANK_NAMES]
    if style.delimiter is not None or style.separator is not None or len(texts) < 2:
        return None
    shared: set[str] | None = None
    for text in texts:
        marks = {match[2] for match in _SIGN.finditer(text)}
        shared = marks if shared is None else shared & marks
        if not shared:
            return None
    for mark in sorted(shared or (), key=lambda mark: (mark in _PUNCTUATION, -len(mark), mark)):
        lefts = {text.split(mark, 1)[0].strip() for text in texts}
        spaced = all(f" {mark} " in text for text in texts)
        if mark not in _PUNCTUATION or (spaced and mark not in ("&", "+")) or len(lefts) < len(texts):
            return f" {mark} " if spaced else mark
    return None


def _texts(labels: Iterable[str]) -> list[str]:
    """The distinct strings in which a delimiter may occur, including those in JSON lists."""
    texts: dict[str, None] = {}
    for label in labels:
        if label.lstrip().startswith(("[", "&")):
            nested = from_json(label, LabelStyle())
            if nested is not None:
                texts.update((name, None) for path in nested for name in path)
                continue
        texts[protect_escapes(decode_entities(label))] = None
    return list(texts)


# -- levels ---------------------------------------------------------------------------------------


def _guess_delimiter(texts: Sequence[str]) -> LabelStyle:
    counts = Counter({mark: sum(_contains(text, mark) for text in texts) for mark in DELIMITERS})
    # Longer delimiters (`>>` before `>`) come first, so that they win a tie.
    for mark, count in sorted(counts.items(), key=lambda item: (-item[1], DELIMITERS.index(item[0]))):
        spaced = count > 0 and _mostly_spaced(texts, mark)
        if mark == "|" and (other := _style_with_bar_separator(texts, counts)):
            return other
        if count and (mark not in _AMBIGUOUS_DELIMITERS or _separates_levels(texts, mark, spaced)):
            return LabelStyle(mark, spaced)
    return LabelStyle()


def _style_with_bar_separator(texts: Sequence[str], counts: Counter[str]) -> LabelStyle | None:
    """The style of a column in which `|` separates categories rather than levels."""
    for mark, count in counts.most_common():
        if count and mark not in ("|", "<"):
            style = LabelStyle(mark, _mostly_spaced(texts, mark))
            if _separator_roots(texts, "|", style):
                return style
    return None


_LONGER = {mark: [m for m in DELIMITERS if mark in m and m != mark] for mark in DELIMITERS}


def _contains(text: str, mark: str) -> bool:
    if mark not in text:
        return False
    for longer in _LONGER[mark]:
        text = text.replace(longer, "")
    if mark == "/":
        text = _LETTERS.sub("", text)
        return any(len(left) > 2 and len(right) > 2 for left, right in _pairs(text.split("/")))
    return mark in text


def _pairs(parts: list[str]) -> Iterable[tuple[str, str]]:
    return zip((p.strip() for p in parts[:-1]), (p.strip() for p in parts[1:]), strict=True)


def _mostly_spaced(texts: Sequence[str], mark: str) -> bool:
    """Whether the delimiter has blanks around it, so that it may occur without them in names."""
    containing = [text for text in texts if mark in text]
    spaced = sum(f" {mark} " in text for text in containing)
    return spaced == len(containing) if mark != "/" else spaced > len(containing) / 2


def _separates_levels(texts: Sequence[str], mark: str, spaced: bool) -> bool:
    """Whether a delimiter that also occurs in names (TV/DVD Combos) separates levels: first parts recur."""
    style = LabelStyle(mark, spaced)
    paths = [[part.strip() for part in levels_of(text, style)] for text in texts]
    deep = [path for path in paths if len(path) > 1]
    roots = Counter(path[0] for path in paths)
    shared = sum(roots[path[0]] > 1 for path in deep)
    proof = mark not in ("/", "／") or shared >= len(deep) / 2 or len(deep) == len(paths)
    if proof and len(deep) >= len(paths) / 2:
        return True
    pieces = {piece.strip() for text in texts for piece in _ANY_SEPARATOR.split(text)}
    parents = {tuple(levels_of(piece, style)[:-1]) for piece in pieces} - {()}
    return bool(parents) and all(
        mark.join(parent) in pieces for parent in parents
    )  # ancestors are listed as well


# -- several categories ---------------------------------------------------------------------------


def _with_separator(texts: Sequence[str], style: LabelStyle) -> LabelStyle:
    """The style with the separator of categories, if the column has one."""
    for mark in SEPARATORS:
        containing = [text for text in texts if mark in text]
        if mark == style.delimiter:
            continue
        if has_escapes(texts, mark):  # where it is escaped in names, it is a separator elsewhere
            return style._replace(separator=mark)
        if not containing:
            continue
        if style.delimiter is None and mark in _COMMAS:
            roots = _listed_names(texts, mark)
        elif style.delimiter is None and mark == ";" and (names := _recurring_names(texts, mark)):
            roots = names
        else:
            roots = (
                _flat_roots(texts, mark, style) if _is_simple(style) else _separator_roots(texts, mark, style)
            )
        if roots:
            return style._replace(separator=mark, roots=roots)
    return style


def _common_names(texts: Sequence[str], style: LabelStyle) -> frozenset[str]:
    """The names in nearly every list of categories (`All products`), which tell no product from another."""
    lists = [
        {fold_spelling(piece) for piece in split_at(text, style.separator or "", style)} for text in texts
    ]
    several = [names - BLANK_NAMES for names in lists if len(names - BLANK_NAMES) > 1]
    if len(several) < max(_FEW_LISTS, len(lists) / 2):
        return frozenset()
    counts = Counter(name for names in several for name in names)
    return frozenset(name for name, count in counts.items() if count >= 0.9 * len(several))


def _is_simple(style: LabelStyle) -> bool:
    return style.delimiter is None or style.leaf_first


def _flat_roots(texts: Sequence[str], mark: str, style: LabelStyle) -> frozenset[str]:
    """The roots, if most parts between separators start with one (leaf first: end with one)."""
    containing = [text for text in texts if mark in text]
    parts = [[p for p in text.split(mark)[:: -1 if style.leaf_first else 1] if p.strip()] for text in texts]
    roots = frozenset(root_of(pieces[0], style) for pieces in parts if pieces) - BLANK_NAMES
    later = [pieces[1:] for pieces, text in zip(parts, texts, strict=True) if mark in text]
    matching = sum(all(root_of(piece, style) in roots for piece in pieces) for pieces in later)
    deep = any(len(levels_of(p, style)) > 1 and root_of(p, style) in roots for ps in later for p in ps)
    return roots if matching >= len(containing) / 2 and (deep or style.delimiter is None) else frozenset()


def _recurring_names(texts: Sequence[str], mark: str) -> frozenset[str]:
    """The names between semicolons in a flat column, if most are in several labels: no name has one.

    Not where most labels begin with one name, which is above the others or says nothing.
    """
    lists = [[fold_spelling(name) for name in text.split(mark) if name.strip()] for text in texts]
    counts = Counter(name for names in lists for name in names)
    several = [names for names in lists if len(names) > 1]
    recurring = sum(counts[name] > 1 for names in several for name in names)
    first = Counter(names[0] for names in lists if names)
    is_list = 2 * recurring > sum(map(len, several)) and 2 * max(first.values()) <= len(lists)
    return frozenset(counts if is_list else ())


def _listed_names(texts: Sequence[str], mark: str) -> frozenset[str]:
    """The names that follow others in a flat column (`Pens, Sale`), if commas mostly separate categories.

    They do if the names are labels by themselves or follow several labels.
    """
    known = {fold_spelling(text) for text in texts if mark not in text}
    lists = [[fold_spelling(piece) for piece in text.split(mark)] for text in texts if mark in text]
    lists = [names for names in lists if all(names)]
    before: dict[str, set[str]] = {}
    for names in lists:
        for name in names[1:] if names[0] in known else ():
            before.setdefault(name, set()).add(names[0])
    listed = {name for name, firsts in before.items() if name in known or len(firsts) > 1}
    matching = sum(names[0] in known and listed.issuperset(names[1:]) for names in lists)
    return frozenset(listed if matching > 1 and matching >= 0.8 * len(lists) else ())


_Path = tuple[str, ...]


def _separator_roots(texts: Sequence[str], mark: str, style: LabelStyle) -> frozenset[str]:
    """Names that may start a category after `mark`, if `mark` separates categories; else nothing.

    Evidence for a separator: a path under a known root follows it (`Home > Fridges, Office > Pens`), or a
    name follows a path that is a label by itself (`Office > Pens, Sale`). A name that contains the mark
    (`Mugs, Cups & Jars`) is no evidence either way: no root follows the mark there.
    """
    cells = [[_path(piece, style) for piece in split_at(text, mark, style)] for text in texts]
    cells = [[path for path in cell if path] for cell in cells]
    joined = _joined_roots(cells, mark)
    if joined:
        cells = [_with_joined_roots(cell, joined, mark) for cell in cells]
    known = {cell[0] for cell in cells if len(cell) == 1}
    nodes = {path[:depth] for path in known for depth in range(1, len(path) + 1)}
    roots, ancestors = _roots(cells), _ancestors(cells)
    later = [path for cell in cells for path in cell[1:] if len(path) > 1]
    rooted = [path for path in later if path[0] in roots]
    extras = _extras(cells, known)
    recurring = [
        name
        for name, lefts in extras.items()
        if len(lefts) > 1 or (name,) in known or name in roots or not _CONJUNCTION.search(name)
    ]
    pairs = [(left, right) for cell in cells for left, right in pairwise(cell) if len(right) > 1]
    after_known = {right[0] for left, right in pairs if left in known and len(left) > 1}
    if 2 * sum(left in known for left, _ in pairs) < len(pairs):
        after_known = set()  # some names that contain the mark start like another name
    proven = recurring or ancestors or after_known or any(path in nodes for path in rooted)
    if not proven and 2 * len(rooted) < max(1, len(later)):
        return frozenset()
    if mark not in _COMMAS:  # names rarely contain these, and then no path follows
        roots |= {path[0] for path in later}
    roots |= after_known
    return frozenset(roots | ancestors | set(recurring) | joined) - BLANK_NAMES


def _path(text: str, style: LabelStyle) -> _Path:
    names = (fold_spelling(name) for name in levels_of(text, style))
    return tuple(name for name in names if name)


def _joined_roots(cells: Sequence[list[_Path]], mark: str) -> set[str]:
    """Roots that contain the mark (`Clothes, Shoes > Boots`): names before a path under no other root."""
    roots = _roots(cells) | _ancestors(cells)
    found = set()
    for cell in cells:
        deep = next((i for i, path in enumerate(cell) if len(path) > 1), 0)
        if deep and not {path[0] for path in cell[: deep + 1]} & roots:
            found.add(fold_spelling(f"{mark} ".join(path[0] for path in cell[: deep + 1])))
    return found


def _ancestors(cells: Sequence[list[_Path]]) -> set[str]:
    """Roots of paths that other paths of their cell continue; some cell starts with each."""
    first = {cell[0][0] for cell in cells if cell}
    return {
        path[0]
        for cell in cells
        for path in cell
        if path[0] in first and any(len(other) > len(path) and other[: len(path)] == path for other in cell)
    }


def _with_joined_roots(cell: list[_Path], joined: set[str], mark: str) -> list[_Path]:
    """A cell in which roots that contain the mark are joined again."""
    out: list[_Path] = []
    i = 0
    while i < len(cell):
        for stop in range(min(len(cell), i + 4), i + 1, -1):
            names = cell[i:stop]
            root = fold_spelling(f"{mark} ".join(path[0] for path in names))
            if root in joined and all(len(path) == 1 for path in names[:-1]):
                out.append((root, *names[-1][1:]))
                i = stop
                break
        else:
            out.append(cell[i])
            i += 1
    return out


def _roots(cells: Sequence[list[_Path]]) -> set[str]:
    """Names that paths start with.

    Those of complete labels, of first parts that are paths, of paths that follow several different leaves,
    and single names before a path.
    """
    roots = {cell[0][0] for cell in cells if cell and (len(cell) == 1 or len(cell[0]) > 1)}
    lefts: dict[str, set[str]] = {}
    for cell in cells:
        for left, right in pairwise(cell):
            if len(right) > 1 and len(left) > 1:
                lefts.setdefault(right[0], set()).add(left[-1])
    roots |= {name for name, ends in lefts.items() if len(ends) > 1}
    before: dict[str, set[str]] = {}
    for cell in cells:
        if len(cell) > 1 and len(cell[0]) == 1 and len(cell[1]) > 1:
            before.setdefault(cell[0][0], set()).add(cell[1][0])
    for names in before.values():
        roots |= names if len(names) > 1 else set()
    return roots | {cell[0][0] for cell in cells if len(cell) > 1 and cell[1][0] in roots}


def _extras(cells: Sequence[list[_Path]], known: set[_Path]) -> dict[str, set[str]]:
    """Single names that follow a known path -> the leaves of these paths."""
    extras: dict[str, set[str]] = {}
    for cell in cells:
        left: _Path | None = None
        for path in cell:
            if len(path) > 1:
                left = path
            elif left is not None and left in known and path:
                extras.setdefault(path[0], set()).add(left[-1])
    return extras
