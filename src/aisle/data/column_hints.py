"""Proposes columns for the title, the label and the images where no column has a known name."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from aisle.data.catalog import Catalog
from aisle.data.column_names import (
    hints_at_label,
    is_about_label,
    is_label_like,
    is_other_property,
    names_images,
)
from aisle.data.column_profile import ColumnProfile, Profiles, profiles
from aisle.data.column_roles import title_score
from aisle.data.columns import flag

_CLEAR = 3  # a label's score with a matching name or levels
ROLE_NAMES = {"category": "label", "title": "title", "images": "images"}


class Proposal(NamedTuple):
    """A column proposed for a role, and the reason."""

    role: str
    column: str
    reason: str

    @property
    def flag(self) -> str:
        """The CLI flag that gives the column the role, quoted for a shell."""
        return flag(self.role, self.column)


def propose(catalog: Catalog) -> tuple[Proposal, ...]:
    """Propose a column for each of title, label and images that the catalog lacks."""
    columns = catalog.columns
    profile = profiles(catalog.raw_column, len(catalog))
    assigned = {columns.id, columns.title, columns.description, columns.split, columns.weight, columns.date}
    assigned |= {*columns.images, *columns.vectors, *columns.label, columns.group}
    free = [name for name in catalog.names if name not in assigned and profile(name).sampled]
    proposals: list[Proposal] = []

    def add(
        role: str, score: Callable[[str, ColumnProfile], float], reason: Callable[[ColumnProfile], str]
    ) -> None:
        scores = {name: score(name, profile(name)) for name in free}
        best = max(scores, key=lambda name: scores[name], default=None)
        if best is not None and scores[best] > 0:
            proposals.append(Proposal(role, best, reason(profile(best))))
            free.remove(best)

    if not columns.image_template and not _filled(columns.images, profile):
        add("images", _images_score, _images_reason)
    label = lacks_label(catalog, profile)
    if label and any(_label_score(name, profile(name)) > _CLEAR for name in free):
        add("category", _label_score, _label_reason)
        label = False
    # Before a label that only its cells suggest: titles are the clearer case.
    if not _filled([columns.title] if columns.title else (), profile):
        add("title", title_score, lambda cells: f"{cells.length:.0f} characters on average")
    if label:
        add("category", _label_score, _label_reason)
    order = ("category", "title", "images")
    return tuple(sorted(proposals, key=lambda proposal: order.index(proposal.role)))


def lacks_label(catalog: Catalog, profile: Profiles | None = None) -> bool:
    """Whether the label is blank in every row."""
    profile = profile or profiles(catalog.raw_column, len(catalog))
    return not _filled(catalog.columns.label, profile)


def _filled(names: Iterable[str], profile: Profiles) -> bool:
    """Whether any cell of these columns is filled."""
    return any(profile(name).filled for name in names)


def advice(catalog: Catalog) -> str:
    """One line of advice for a catalog without labels."""
    if not lacks_label(catalog):
        return "`aisle check` shows what is wrong with the labels"
    proposals = propose(catalog)
    if not any(proposal.role == "category" for proposal in proposals):
        return "No column looks like a label; -c category=NAME names one"
    columns = ", ".join(f"{one.column!r} for the {ROLE_NAMES[one.role]} ({one.reason})" for one in proposals)
    return f"The likeliest columns are {columns}: add {' '.join(proposal.flag for proposal in proposals)}"


def _images_reason(cells: ColumnProfile) -> str:
    return f"{max(cells.images, cells.urls):.0%} of its cells name images"


def _label_reason(cells: ColumnProfile) -> str:
    return f"{round(cells.distinct * cells.sampled):,} values in {cells.sampled:,} cells"


def _label_score(name: str, cells: ColumnProfile) -> float:
    """Above 0 for a possible label; higher if values recur and have levels, and the name suggests a label."""
    label_like = is_label_like(name)
    if not cells.may_be_label or not cells.values_recur or cells.common == 1 or is_about_label(name):
        return 0.0
    are_codes = hints_at_label(name) and cells.distinct <= 0.5
    numbers = cells.numbers >= 0.5 and not are_codes
    if not label_like and (numbers or (is_other_property(name) and cells.paths < 0.5) or cells.length > 100):
        return 0.0
    return 4 * label_like + 3 * cells.paths + 2 * hints_at_label(name) + cells.filled + 1 - cells.distinct


def _images_score(name: str, cells: ColumnProfile) -> float:
    """Above 0 for possible images; URLs need a matching name, because they may be those of pages."""
    name_score = names_images(name)
    if not cells.may_be_images or (cells.images < 0.5 and not name_score):
        return 0.0
    return cells.images + cells.filled + name_score
