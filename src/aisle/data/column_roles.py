"""Finds the role of each column: stated by the user, by its name, or by its cells."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aisle.data.column_names import (
    AMBIGUOUS,
    ROLES,
    VAGUE,
    WITH_ADDITION,
    Rank,
    folded,
    hints_at_label,
    image_number,
    is_about_label,
    is_label_like,
    is_other_property,
    level_above,
    level_number,
    named_levels,
    names_images,
    rank,
)
from aisle.data.column_profile import ColumnProfile, Profiles
from aisle.data.columns import CALLER_PREFIX, DECISION_COLUMNS, Columns
from aisle.errors import CatalogError, did_you_mean

_SETTINGS = ("image_template", "delimiter", "separator", "image_separator", "date_format")
_SURE = 1  # up to this tier, names are accepted whatever the cells hold
_HALF = 0.5
_MIN_LABEL_COVERAGE = 0.9  # of the best candidate; among those above it, the likeliest name wins
_LEVELS = Rank(0, 10)  # level columns come just before `product_cat`
_LABEL_LIKE = Rank(2 * VAGUE, 0)
_TITLE = re.compile(r"name|tit[eluo]|nom|bez|descr|opis|item|produ|artikel|naz|назв|наимен|名|标题|اسم")
_ID = re.compile(r"id|sku|cod|kod|num|nr|no|ref|art|номер|код|артикул|编号|編號|番号|번호|코드|كود|رقم|מק")
_MAX_TITLE_LENGTH = 200  # characters on average: descriptions, not titles
_MAX_ID_LENGTH = 40  # characters on average
_MIN_TEXT_LENGTH = 60  # characters on average: texts
_MIN_ROWS = 10
_NEARLY_ALL = 0.95


def find_columns(
    names: Iterable[str],
    given: Mapping[str, Any],
    binary: Iterable[str] = (),
    vectors: Iterable[str] = (),
    profile: Profiles = lambda name: ColumnProfile(),
    label_share: Callable[[tuple[str, ...]], float] | None = None,
    allow_vague: bool = True,
    keep_fields: Iterable[str] = (),
    is_above: Callable[[str, str], bool] = lambda upper, lower: False,
) -> Columns:
    """Give every column of a file its role.

    Args:
        names: The columns of the file, in order.
        given: The roles that the user states; `""` states that there is no such column.
        binary: The columns that hold bytes.
        vectors: The columns that hold lists of numbers.
        profile: Returns the profile of a column.
        label_share: Returns the share of rows whose label is in the official tree; None without a tree.
        allow_vague: Whether a column with a vague name, such as `type`, may be the label if no other is.
        keep_fields: The columns that stay fields whatever their names are.
        is_above: Whether nearly every value of the second column occurs with one value of the first, as the
            levels of a tree do.

    Raises:
        CatalogError: The user names a column that the file does not have.
    """
    names, bytes_, lists, kept_fields = list(names), set(binary), tuple(vectors), set(keep_fields)
    _check_named(names, given)
    chosen: dict[str, Any] = {k: v for k, v in given.items() if k in _SETTINGS or v not in ("", ("",))}

    def unassigned(excluded: set[str] = set()) -> list[str]:  # noqa: B006 - never changed
        assigned = _named(chosen) | excluded | kept_fields
        return [name for name in names if name not in assigned and name not in lists]

    callers = {name for name in names if name.startswith(CALLER_PREFIX)}  # only the user gives these a role
    for role in ROLES:
        if role in given:
            continue
        if role != "category":
            best = _best(role, unassigned(bytes_ | callers), profile)
            chosen |= {role: best} if best is not None else {}
        elif "levels" not in given:
            free = unassigned(bytes_ | callers)
            label = _label(free, profile, label_share, allow_vague)
            label = _with_nested_levels(label, free, profile, is_above) if allow_vague else label
            chosen |= {"levels": label} if len(label) > 1 else {"category": label[0]} if label else {}
    if not {"title", "description"} & {*chosen, *given}:
        title = title_by_cells(unassigned(bytes_ | callers), profile)
        chosen |= {"title": title} if title is not None else {}
    for role, by_cells in (("id", id_by_cells), ("description", description_by_cells)):
        if role not in {*chosen, *given}:
            column = by_cells(unassigned(bytes_ | callers), profile)
            chosen |= {role: column} if column is not None else {}
    unread: tuple[str, ...] = ()
    if "images" not in given and "image_template" not in chosen:
        free = unassigned(callers)
        chosen["images"], unread = _images(free, bytes_, profile)
        chosen["images"] = chosen["images"] or images_by_cells(free, profile)
    chosen.setdefault("vectors", tuple(name for name in lists if name not in _named(chosen)))
    if "fields" not in given:
        rest = unassigned()
        never = {*unread, *bytes_, *DECISION_COLUMNS}
        ignored = [name for name in rest if name in never or is_label_like(name)]
        chosen["ignored"] = (*chosen.get("ignored", ()), *ignored)
        named_columns = _named(chosen)
        rest = [*rest, *(name for name in kept_fields if name not in named_columns)]
        chosen["fields"] = tuple(name for name in names if name in rest and name not in ignored)
    return Columns(**chosen)


def _named(chosen: Mapping[str, Any]) -> set[str]:
    """Every column that has a role."""
    assigned: set[str] = set()
    for key, value in chosen.items():
        if key not in _SETTINGS:
            assigned |= set(value) if isinstance(value, tuple) else {value}
    return assigned


def _check_named(names: list[str], given: Mapping[str, Any]) -> None:
    template = given.get("image_template", "")
    for key, value in [*given.items(), ("image_template", tuple(re.findall(r"{([^{}]*)}", template)))]:
        if key in _SETTINGS and not isinstance(value, tuple):
            continue
        for column in value if isinstance(value, tuple) else (value,):
            if column and column not in names:
                suggestion = did_you_mean(column, names)
                has = ", ".join(names)
                raise CatalogError(
                    f"column {column!r} (for {key!r}) is not in the file, which has: {has}.{suggestion}"
                )


def _ranked(role: str, names: list[str]) -> list[tuple[Rank, str]]:
    """(rank, column) of the columns with a name of the role, the likeliest first."""
    ranked = [(known, name) for name in names if (known := rank(role, name)) is not None]
    return sorted(ranked, key=lambda item: item[0])


def _best(role: str, names: list[str], profile: Profiles) -> str | None:
    """The column with the likeliest name whose coverage is at least half of the best."""
    fitting = [n for rank_, n in _ranked(role, names) if _fits(role, n, rank_, profile(n))]
    if len(fitting) <= 1:
        return next(iter(fitting), None)
    coverage = {n: _coverage(role, profile(n)) for n in fitting}
    return next(n for n in fitting if coverage[n] >= _HALF * max(coverage.values()))


def title_by_cells(names: Iterable[str], profile: Profiles) -> str | None:
    """The column that reads most like titles: words that differ from row to row; None if no column does."""
    scores = {name: title_score(name, profile(name)) for name in names}
    likely = [
        name for name in scores if scores[name] and min(profile(name).words, profile(name).distinct) >= _HALF
    ]
    return max(likely, key=lambda name: scores[name], default=None)


def id_by_cells(names: Iterable[str], profile: Profiles) -> str | None:
    """The first column with a code of its own in each row and a name such as `Cikkszám` or `artikelnr`."""
    for name in names:
        cells = profile(name)
        is_code = max(cells.codes, cells.numbers) >= _NEARLY_ALL and not cells.urls
        is_unique = cells.distinct == 1 and cells.filled == 1 and cells.sampled >= _MIN_ROWS
        is_named = _ID.search(folded(name)) and not is_other_property(name)
        if is_code and is_unique and is_named and cells.length <= _MAX_ID_LENGTH:
            return name
    return None


def description_by_cells(names: Iterable[str], profile: Profiles) -> str | None:
    """The column of the longest texts; None if no column holds sentences."""

    def is_text(cells: ColumnProfile) -> bool:
        text = cells.words >= _HALF and cells.distinct >= _HALF and cells.length >= _MIN_TEXT_LENGTH
        return text and max(cells.urls, cells.images, cells.numbers) < _HALF

    texts = [name for name in names if is_text(profile(name)) and not is_about_label(name)]
    return max(texts, key=lambda name: profile(name).length, default=None)


def images_by_cells(names: Iterable[str], profile: Profiles) -> tuple[str, ...]:
    """The columns whose cells name images, different ones in most rows."""

    def are_images(name: str) -> bool:
        cells = profile(name)
        named = cells.images >= _HALF or (cells.urls >= _HALF and names_images(name))
        return bool(cells.sampled) and named and cells.distinct >= _HALF

    return tuple(name for name in names if are_images(name))


def title_score(name: str, cells: ColumnProfile) -> float:
    """Above 0 for a possible title; higher if each row has its own words."""
    if not cells.sampled or not cells.may_be_title or cells.length > _MAX_TITLE_LENGTH or cells.paths > _HALF:
        return 0.0
    if is_label_like(name) or is_other_property(name):
        return 0.0
    name_score = 2 * (rank("title", name) is not None) + bool(_TITLE.search(folded(name)))
    return name_score + cells.distinct + cells.words + cells.filled


def _coverage(role: str, cells: ColumnProfile) -> float:
    """The share of rows that the column fills; of an id, the share of rows that it identifies."""
    return cells.filled * cells.distinct if role == "id" and cells.sampled else cells.filled


def _fits(role: str, name: str, rank_: Rank, cells: ColumnProfile) -> bool:
    """Whether the cells agree with the name."""
    if role == "group":
        return cells.may_be_group
    if role == "id":
        if rank("group", name) is not None:  # a Shopify handle: rows of variants repeat it
            return not cells.sampled or cells.distinct > 0.95
        return rank_.tier <= _SURE or cells.sampled < 10 or cells.distinct > 0.5
    if role == "title" and rank_.tier > _SURE:
        return cells.may_be_title
    return True


def _label(
    names: list[str],
    profile: Profiles,
    label_share: Callable[[tuple[str, ...]], float] | None,
    allow_vague: bool,
) -> tuple[str, ...]:
    """The label column or level columns; `()` if there are none.

    Of the candidates that label nearly the most rows, the one with the likeliest name; in its place a column
    of paths in which its names occur. A column with one value is the label only if no other is.
    """
    candidates = _label_candidates(names, profile)
    if not any(
        profile(columns[0]).filled and not profile(columns[-1]).is_constant for _, columns in candidates
    ):
        candidates += _label_fallbacks(names, profile, allow_vague)
    candidates = [item for item in candidates if not profile(item[1][-1]).is_constant] or candidates
    if not candidates:
        return ()
    if label_share is None or len(candidates) == 1:
        coverage = {columns: profile(columns[0]).filled for _, columns in candidates}
    else:
        coverage = {columns: label_share(columns) for _, columns in candidates}
    texts = [
        columns
        for _, columns in candidates
        if profile(columns[0]).numbers < _HALF and all(is_label_like(name) for name in columns)
    ]

    def order(item: tuple[Rank, tuple[str, ...]]) -> tuple[bool, Rank]:
        """Names of categories first: without an official tree, numbers are meaningless."""
        number = label_share is None and bool(texts) and profile(item[1][0]).numbers >= _HALF
        return number, item[0]

    ordered = [columns for _, columns in sorted(candidates, key=order)]
    min_coverage = _MIN_LABEL_COVERAGE * max(coverage.values())
    ordered = [columns for columns in ordered if coverage[columns] >= min_coverage]
    flat = profile(ordered[0][0])
    deeper = (c for c in ordered if len(c) == len(ordered[0]) == 1 and profile(c[0]).has_levels_of(flat))
    return next(deeper, ordered[0])


def _label_candidates(names: list[str], profile: Profiles) -> list[tuple[Rank, tuple[str, ...]]]:
    """(rank, columns) of the level columns and of each column with a name of the label."""
    levels = _levels(names, profile)
    candidates = [(_LEVELS, levels)] if levels else []
    for name in names:
        known = rank("category", name)
        if known is None or known.tier >= VAGUE or name in levels:
            continue
        cells = profile(name)
        if cells.record_types > _HALF:
            continue
        if known.tier <= _SURE or AMBIGUOUS <= known.tier < WITH_ADDITION or cells.may_be_label:
            candidates.append((known, (name,)))
    return candidates


def _label_fallbacks(
    names: list[str], profile: Profiles, allow_vague: bool
) -> list[tuple[Rank, tuple[str, ...]]]:
    """Columns whose names contain a word for category, else those with vague names."""
    like: list[tuple[Rank, tuple[str, ...]]] = []
    others: list[tuple[Rank, tuple[str, ...]]] = []
    for name in names:
        known = rank("category", name)
        if known.tier < VAGUE if known is not None else not is_label_like(name):
            continue
        cells = profile(name)
        if not cells.filled or max(cells.urls, cells.images, cells.record_types) >= _HALF:
            continue
        if is_label_like(name):
            like += [(_LABEL_LIKE, (name,))] if not is_about_label(name) else []
        elif (
            allow_vague
            and known is not None
            and cells.may_be_label
            and cells.values_recur
            and cells.numbers < _HALF
        ):
            others.append((known, (name,)))
    return like or others


def _levels(names: list[str], profile: Profiles) -> tuple[str, ...]:
    """The level columns, top first."""
    numbered: dict[int, str] = {}
    for name in names:
        level = level_number(name)
        if level is not None:
            numbered.setdefault(level, name)
    if len(numbered) > 1 and sorted(numbered) == list(range(min(numbered), max(numbered) + 1)):
        found = tuple(numbered[level] for level in sorted(numbered))
        return (*level_above(found[0], names), *found)
    levels_ = named_levels(names)
    return levels_ if levels_ and profile(levels_[0]).paths <= _HALF else ()  # whole paths


def _with_nested_levels(
    label: tuple[str, ...], names: list[str], profile: Profiles, is_above: Callable[[str, str], bool]
) -> tuple[str, ...]:
    """The label column with the columns that hold the levels above and below it.

    A column is a level if its name hints at categories (`dept`, `Sous-rayon`) and its values nest: `class`
    lies above `subclass` if each subclass has one class. Without a label column, nested columns are it.
    """
    if len(label) > 1 or (label and profile(label[0]).paths >= _HALF):
        return label

    def may_be_level(name: str) -> bool:
        cells = profile(name)
        hints = is_label_like(name) or hints_at_label(name) or rank("category", name) is not None
        text = cells.may_be_label and cells.values_recur and cells.numbers < _HALF and cells.paths < _HALF
        return hints and text and not is_about_label(name) and not is_other_property(name)

    levels = [name for name in names if name not in label and may_be_level(name)]
    levels.sort(key=lambda name: profile(name).distinct)
    if not label:
        pairs = [(a, b) for i, a in enumerate(levels) for b in levels[i + 1 :] if is_above(a, b)]
        return _with_nested_levels(pairs[-1][1:], names, profile, is_above) if pairs else ()
    above, below = list(label), list(label)
    for name in reversed(levels):
        if profile(name).distinct < profile(above[0]).distinct and is_above(name, above[0]):
            above.insert(0, name)
    for name in levels:
        if profile(name).distinct > profile(below[-1]).distinct and is_above(below[-1], name):
            below.append(name)
    return (*above, *below[1:])


def _images(names: list[str], binary: set[str], profile: Profiles) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The image columns (main, numbered, further), and columns that repeat the same images."""
    numbers = {n: known for n in names if (known := image_number(n)) is not None}
    numbered = [n for n, known in numbers.items() if known.tier <= _SURE or profile(n).may_be_images]

    def named_as(role: str) -> list[str]:
        ranked = _ranked(role, [n for n in names if n not in numbers])
        return [n for known, n in ranked if known.tier <= _SURE or profile(n).may_be_images]

    named, more = named_as("images"), named_as("more_images")
    best_filled = max((profile(n).filled for n in named), default=0.0)
    main = [n for n in named if profile(n).filled >= _HALF * best_filled][:1]
    read = list(dict.fromkeys([*main, *numbered, *more])) or [n for n in names if n in binary][:1]
    repeated = [n for n in named if n not in read and profile(n).sampled and profile(n).may_be_images]
    return tuple(read), tuple(repeated)
