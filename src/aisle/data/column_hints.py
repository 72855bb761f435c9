"""Which columns most likely hold the title, the label and the images of a catalog in which no name tells."""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from aisle.data.catalog import Catalog
from aisle.data.column_names import folded, hints_at_label, is_about_label, is_label_like, is_other, rank
from aisle.data.column_profile import ColumnProfile, Profiles, profiles
from aisle.data.columns import flag

_TITLE = re.compile(r"name|tit[eluo]|nom|bez|descr|opis|item|produ|artikel|naz|назв|наимен|名|标题|اسم")
_IMAGE = re.compile(
    r"imm?ag|img|pic|phot|foto|bild|afbeeld|visuel|zdje|obraz|resim|gorsel|фото|изобр|画像|写真|图|圖|صور"
)
_CLEAR = 3  # a label's score that its name or its levels bear out
CALLED = {"category": "label", "title": "title", "images": "images"}
_LONG = 200  # characters on average: descriptions, not titles


class Proposal(NamedTuple):
    """A column that likely holds what no column does by name. `reason`: what speaks for it."""

    role: str
    column: str
    reason: str

    @property
    def flag(self) -> str:
        """The flag that says so, as it is pasted into a shell."""
        return flag(self.role, self.column)


def propose(catalog: Catalog) -> tuple[Proposal, ...]:
    """The likeliest column for each of title, label and images that the catalog lacks."""
    columns = catalog.columns
    profile = profiles(catalog.raw_column, len(catalog))
    taken = {columns.id, columns.title, columns.description, columns.split, columns.weight, columns.date}
    taken |= {*columns.images, *columns.vectors, *columns.label, columns.group}
    free = [name for name in catalog.names if name not in taken and profile(name).seen]
    found: list[Proposal] = []

    def add(
        role: str, score: Callable[[str, ColumnProfile], float], reason: Callable[[ColumnProfile], str]
    ) -> None:
        scores = {name: score(name, profile(name)) for name in free}
        best = max(scores, key=lambda name: scores[name], default=None)
        if best is not None and scores[best] > 0:
            found.append(Proposal(role, best, reason(profile(best))))
            free.remove(best)

    if not columns.image_template and not _filled(columns.images, profile):
        add("images", _images_score, _images_reason)
    label = lacks_label(catalog, profile)
    if label and any(_label_score(name, profile(name)) > _CLEAR for name in free):
        add("category", _label_score, _label_reason)
        label = False
    # Before a label of which only the cells speak: a title is told by its words.
    if not _filled([columns.title] if columns.title else (), profile):
        add("title", _title_score, lambda cells: f"{cells.length:.0f} characters on average")
    if label:
        add("category", _label_score, _label_reason)
    order = ("category", "title", "images")
    return tuple(sorted(found, key=lambda one: order.index(one.role)))


def lacks_label(catalog: Catalog, profile: Profiles | None = None) -> bool:
    """Whether no row holds any label, right or wrong."""
    profile = profile or profiles(catalog.raw_column, len(catalog))
    return not _filled(catalog.columns.label, profile)


def _filled(names: Iterable[str], profile: Profiles) -> bool:
    """Whether any cell of these columns holds something."""
    return any(profile(name).filled for name in names)


def advice(catalog: Catalog) -> str:
    """What to do about a catalog without labels, in one line."""
    if not lacks_label(catalog):
        return "`aisle check` shows what is wrong with the labels"
    found = propose(catalog)
    if not any(one.role == "category" for one in found):
        return "No column looks like a label; -c category=NAME names one"
    named = ", ".join(f"{one.column!r} for the {CALLED[one.role]} ({one.reason})" for one in found)
    return f"The likeliest columns are {named}: add {' '.join(one.flag for one in found)}"


def _images_reason(cells: ColumnProfile) -> str:
    return f"{max(cells.images, cells.urls):.0%} of its cells name images"


def _label_reason(cells: ColumnProfile) -> str:
    return f"{round(cells.distinct * cells.seen):,} values in {cells.seen:,} cells"


def _label_score(name: str, cells: ColumnProfile) -> float:
    """Above 0 for what may be a label; most where values recur and hold levels, and the name hints at it."""
    like = is_label_like(name)
    if not cells.as_label or not cells.recurs or cells.common == 1 or is_about_label(name):
        return 0.0
    numbers = cells.numbers >= 0.5 and not (hints_at_label(name) and cells.distinct <= 0.5)  # else codes
    if not like and (numbers or (is_other(name) and cells.paths < 0.5) or cells.length > 100):
        return 0.0
    return 4 * like + 3 * cells.paths + 2 * hints_at_label(name) + cells.filled + 1 - cells.distinct


def _title_score(name: str, cells: ColumnProfile) -> float:
    """Above 0 for what may be a title; most where each row has other words of its own."""
    if (
        not cells.as_title
        or cells.length > _LONG
        or cells.paths > 0.5
        or is_label_like(name)
        or is_other(name)
    ):
        return 0.0
    named = 2 * (rank("title", name) is not None) + bool(_TITLE.search(folded(name)))
    return named + cells.distinct + cells.words + cells.filled


def _images_score(name: str, cells: ColumnProfile) -> float:
    """Above 0 for what may name images: a page's address may not."""
    named = bool(_IMAGE.search(folded(name)))
    if not cells.as_images or (cells.images < 0.5 and not named):
        return 0.0
    return cells.images + cells.filled + named
