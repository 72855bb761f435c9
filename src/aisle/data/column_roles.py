"""Which column of a file is what: as the user says, by name, and by content where names leave it open."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aisle.data.column_names import (
    ADDED,
    LATE,
    ROLES,
    WEAK,
    Rank,
    image_number,
    is_about_label,
    is_label_like,
    level_number,
    named_levels,
    rank,
)
from aisle.data.column_profile import ColumnProfile, Profiles
from aisle.data.columns import CALLER_PREFIX, Columns
from aisle.errors import CatalogError, did_you_mean

_SETTINGS = ("image_template", "delimiter", "separator", "image_separator", "date_format")
_SURE = 1  # the last tier of names that are believed whatever the cells hold
_ENOUGH = {"category": 0.9}  # the share of the best one's worth at which the likelier name wins; else:
_HALF = 0.5
_LEVELS = Rank(0, 10)  # columns a level come just before `product_cat`, which stands at this place
_LABEL_LIKE = Rank(2 * WEAK, 0)


def find_columns(
    names: Iterable[str],
    given: Mapping[str, Any],
    binary: Iterable[str] = (),
    vectors: Iterable[str] = (),
    profile: Profiles = lambda name: ColumnProfile(),
    labelled: Callable[[tuple[str, ...]], float] | None = None,
    vague: bool = True,
    kept: Iterable[str] = (),
) -> Columns:
    """Give every column of a file its role.

    Args:
        names: the file's columns in order.
        given: what the user said; a key given as `""` says that there is no such column.
        binary: the columns that hold bytes.
        vectors: the columns that hold lists of numbers.
        profile: what a column's cells look like.
        labelled: the share of rows that label columns place in the official tree; None: there is no tree.
        vague: whether a column with a vague name, such as `type`, may be the label where no other is.
        kept: the columns that stay fields whatever their names are.

    Raises:
        CatalogError: the user named a column that the file does not have.
    """
    names, bytes_, lists, stay = list(names), set(binary), tuple(vectors), set(kept)
    _check(names, given)
    chosen: dict[str, Any] = {k: v for k, v in given.items() if k in _SETTINGS or v not in ("", ("",))}

    def free(without: set[str] = set()) -> list[str]:  # noqa: B006 - never changed
        taken = _named(chosen) | without | stay
        return [name for name in names if name not in taken and name not in lists]

    callers = {
        name for name in names if name.startswith(CALLER_PREFIX)
    }  # only the user can give these a role
    for role in ROLES:
        if role in given:
            continue
        if role != "category":
            found = _best(role, free(bytes_ | callers), profile)
            chosen |= {role: found} if found is not None else {}
        elif "levels" not in given:
            label = _label(free(bytes_ | callers), profile, labelled, vague)
            chosen |= {"levels": label} if len(label) > 1 else {"category": label[0]} if label else {}
    unread: tuple[str, ...] = ()
    if "images" not in given and "image_template" not in chosen:
        chosen["images"], unread = _images(free(callers), bytes_, profile)
    chosen.setdefault("vectors", tuple(name for name in lists if name not in _named(chosen)))
    if "fields" not in given:
        rest = free()
        out = [name for name in rest if name in unread or name in bytes_ or is_label_like(name)]
        chosen["ignored"] = (*chosen.get("ignored", ()), *out)
        own = _named(chosen)
        rest = [*rest, *(name for name in stay if name not in own)]
        chosen["fields"] = tuple(name for name in names if name in rest and name not in out)
    return Columns(**chosen)


def _named(chosen: Mapping[str, Any]) -> set[str]:
    """Every column that has a role."""
    taken: set[str] = set()
    for key, value in chosen.items():
        if key not in _SETTINGS:
            taken |= set(value) if isinstance(value, tuple) else {value}
    return taken


def _check(names: list[str], given: Mapping[str, Any]) -> None:
    template = given.get("image_template", "")
    for key, value in [*given.items(), ("image_template", tuple(re.findall(r"{([^{}]*)}", template)))]:
        if key in _SETTINGS and not isinstance(value, tuple):
            continue
        for column in value if isinstance(value, tuple) else (value,):
            if column and column not in names:
                near = did_you_mean(column, names)
                has = ", ".join(names)
                raise CatalogError(
                    f"column {column!r} (for {key!r}) is not in the file, which has: {has}.{near}"
                )


def _ranked(role: str, names: list[str]) -> list[tuple[Rank, str]]:
    """The columns with a name of the role, the likeliest first, equals in the order of the file."""
    found = [(known, name) for name in names if (known := rank(role, name)) is not None]
    return sorted(found, key=lambda item: item[0])


def _best(role: str, names: list[str], profile: Profiles) -> str | None:
    """The column whose name speaks for the role most, unless others hold far more."""
    fitting = [n for found, n in _ranked(role, names) if _fits(role, n, found, profile(n))]
    if len(fitting) <= 1:
        return next(iter(fitting), None)
    worth = {n: _worth(role, profile(n)) for n in fitting}
    enough = _ENOUGH.get(role, _HALF) * max(worth.values())
    return next(n for n in fitting if worth[n] >= enough)


def _worth(role: str, cells: ColumnProfile) -> float:
    """Of an id, the share of rows that it tells apart; else the share of rows that it fills."""
    return cells.filled * cells.distinct if role == "id" and cells.seen else cells.filled


def _fits(role: str, name: str, found: Rank, cells: ColumnProfile) -> bool:
    """Whether the cells do not contradict what the name says."""
    if role == "group":
        return cells.as_group
    if role == "id":
        if rank("group", name) is not None:  # a Shopify handle names a product; its variants' rows repeat it
            return not cells.seen or cells.distinct > 0.95
        return found.tier <= _SURE or cells.seen < 10 or cells.distinct > 0.5
    if role == "title" and found.tier > _SURE:
        return cells.as_title
    return True


def _label(
    names: list[str],
    profile: Profiles,
    labelled: Callable[[tuple[str, ...]], float] | None,
    vague: bool,
) -> tuple[str, ...]:
    """The label's column, or columns a level, with the likeliest name of those that label nearly most rows;
    `()`: there is none."""
    found = _label_candidates(names, profile)
    if not any(profile(columns[0]).filled for _, columns in found):
        found += _label_fallbacks(names, profile, vague)
    if not found:
        return ()
    if labelled is None or len(found) == 1:
        worth = {columns: profile(columns[0]).filled for _, columns in found}
    else:
        worth = {columns: labelled(columns) for _, columns in found}
    texts = [columns for _, columns in found if profile(columns[0]).numbers < _HALF and _named_so(columns)]

    def order(item: tuple[Rank, tuple[str, ...]]) -> tuple[bool, Rank]:
        """Names of categories come before numbers, which only an official tree can read."""
        number = labelled is None and bool(texts) and profile(item[1][0]).numbers >= _HALF
        return number, item[0]

    ordered = [columns for _, columns in sorted(found, key=order)]
    enough = _ENOUGH["category"] * max(worth.values())
    return next(columns for columns in ordered if worth[columns] >= enough)


def _named_so(columns: tuple[str, ...]) -> bool:
    return all(is_label_like(name) for name in columns)


def _label_candidates(names: list[str], profile: Profiles) -> list[tuple[Rank, tuple[str, ...]]]:
    """The columns a level, and each column with a label's name, with their ranks."""
    levels = _levels(names, profile)
    found = [(_LEVELS, levels)] if levels else []
    for name in names:
        known = rank("category", name)
        if known is None or known.tier >= WEAK or name in levels:
            continue
        cells = profile(name)
        if cells.kinds > _HALF:
            continue
        if known.tier <= _SURE or LATE <= known.tier < ADDED or cells.as_label:
            found.append((known, (name,)))
    return found


def _label_fallbacks(names: list[str], profile: Profiles, vague: bool) -> list[tuple[Rank, tuple[str, ...]]]:
    """Where no column has a label's name: those whose names speak of one, then those with vague names."""
    like: list[tuple[Rank, tuple[str, ...]]] = []
    others: list[tuple[Rank, tuple[str, ...]]] = []
    for name in names:
        known = rank("category", name)
        if known.tier < WEAK if known is not None else not is_label_like(name):
            continue
        cells = profile(name)
        if not cells.filled or max(cells.urls, cells.images, cells.kinds) >= _HALF:
            continue
        if is_label_like(name):
            like += [(_LABEL_LIKE, (name,))] if not is_about_label(name) else []
        elif vague and known is not None and cells.as_label and cells.recurs and cells.numbers < _HALF:
            others.append((known, (name,)))
    return like or others


def _levels(names: list[str], profile: Profiles) -> tuple[str, ...]:
    """The columns a level, top first."""
    numbered: dict[int, str] = {}
    for name in names:
        level = level_number(name)
        if level is not None:
            numbered.setdefault(level, name)
    if len(numbered) > 1 and sorted(numbered) == list(range(min(numbered), max(numbered) + 1)):
        return tuple(numbered[level] for level in sorted(numbered))
    named = named_levels(names)
    return named if named and profile(named[0]).paths <= _HALF else ()  # whole paths already


def _images(names: list[str], binary: set[str], profile: Profiles) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of images: the main one, numbered ones, further ones; and those that say the same again."""

    numbers = {n: known for n in names if (known := image_number(n)) is not None}
    numbered = [n for n, known in numbers.items() if known.tier <= _SURE or profile(n).as_images]

    def named_as(role: str) -> list[str]:
        ranked = _ranked(role, [n for n in names if n not in numbers])
        return [n for known, n in ranked if known.tier <= _SURE or profile(n).as_images]

    named, more = named_as("images"), named_as("more_images")
    most = max((profile(n).filled for n in named), default=0.0)
    main = [n for n in named if profile(n).filled >= _HALF * most][:1]
    read = [*main, *numbered, *more] or [n for n in names if n in binary][:1]
    again = [n for n in named if n not in read and profile(n).seen and profile(n).as_images]
    return tuple(read), tuple(again)
