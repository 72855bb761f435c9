"""The names of columns: which role a header speaks for, by the names in `column_names.toml`.

Several columns may carry a role's name. A `Rank` orders them: an exact English name before one that differs
in accents, before a plural, before a translation, before a name with an addition (`Name (EN)`, `name_de`).
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

_FILE = Path(__file__).with_name("column_names.toml")
ROLES = ("id", "title", "description", "category", "split", "weight", "date", "group")
# Letters that are variants of another one without being it and an accent.
_LETTERS = str.maketrans(
    {"ı": "i", "ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ى": "ي", "ё": "е"}
)
_PREFIX = re.compile(
    r"^(?:g|tax|post|product|item|data|offer|attributes|fields|node|_source)\s*[:./]\s*(?=\w)", re.IGNORECASE
)
_FIRST = re.compile(r"(?<=\w)[\s_-]*1$")  # `Bezeichnung 1`
_ADDITION = re.compile(r"[\s*:]*[(\[（【<][^()\[\]（）【】<>]*[)\]）】>][\s*:]*$")
_NUMBER = re.compile(r"^(\D*)(\d{1,3})(\D*)$")
_SHORT = 40  # characters of values that name a kind of record or a flag
_TRANSLATED, LATE, ADDED, _LOCAL, WEAK = 3, 6, 10, 20, 30


class Rank(NamedTuple):
    """How well a header speaks for a role; the smallest is best.

    tier: 0 an exact English name or a platform's code, 1 but for accents, 2 a plural, 3 to 5 the same of a
    translation, 6 to 8 of a word with other meanings; 10 more with an addition in parentheses, 20 more with a
    language, 30 more for a vague name.
    place: its place in the list of names.
    """

    tier: int
    place: int


def exact(name: str) -> str:
    """A name without case, spaces and signs: `exact("Product Name*") == "productname"`."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


@lru_cache(4096)
def folded(name: str) -> str:
    """The same without accents: `folded("Catégorie") == "categorie"`."""
    letters = unicodedata.normalize("NFKD", name.casefold().translate(_LETTERS))
    return re.sub(r"[\W_]+", "", letters)


def singular(name: str) -> str:
    """An English plural's singular, by its ending; other words as they are."""
    if name.endswith("ies") and len(name) > 4:
        return f"{name[:-3]}y"
    if name.endswith(("sses", "xes", "ches", "shes")):
        return name[:-2]
    return name[:-1] if name.endswith("s") and not name.endswith(("ss", "us", "is")) else name


@cache
def names_table() -> Mapping[str, Any]:
    """The content of `column_names.toml`."""
    return tomllib.loads(_FILE.read_text("utf-8"))


class _Names(NamedTuple):
    """Some names of a role -> their place, as they are written, without accents, and in the singular."""

    tier: int
    exact: Mapping[str, int]
    folded: Mapping[str, int]
    singular: Mapping[str, int]


@cache
def _names(role: str) -> tuple[_Names, ...]:
    """The role's names: English ones and codes, translations, vague ones."""
    groups: dict[int, list[tuple[int, str]]] = {0: [], _TRANSLATED: [], LATE: [], WEAK: []}
    for language, names in names_table()[role].items():
        groups[{"en": 0, "late": LATE, "weak": WEAK}.get(language, _TRANSLATED)] += enumerate(names)
    found = []
    for tier, placed in groups.items():
        placed = sorted(placed, reverse=True)  # where two share a spelling, the likelier one stays
        keys = (exact, folded, lambda name: singular(folded(name)))
        found.append(_Names(tier, *({key(name): place for place, name in placed} for key in keys)))
    return tuple(found)


def rank(role: str, header: str) -> Rank | None:
    """How well a header speaks for a role; None: not at all."""
    if role == "group" and folded(header) == "groups":
        return None  # Akeneo's lists of associated products
    ranks = []
    for added, form in _forms(header):
        keys = exact(form), folded(form), singular(folded(form))
        for names in _names(role):
            for step, (key, known) in enumerate(zip(keys, names[1:], strict=True)):
                if key in known:
                    ranks.append(Rank(names.tier + added + step, known[key]))
    return min(ranks, default=None)


@lru_cache(4096)
def _forms(header: str) -> tuple[tuple[int, str], ...]:
    """The header itself; without a prefix, an addition in parentheses, the number 1; without a language."""
    short = _ADDITION.sub("", _PREFIX.sub("", header))
    local = _local().sub("", short)
    forms: dict[str, int] = {}
    for added, form in ((0, header), (ADDED, short), (ADDED, _FIRST.sub("", short)), (_LOCAL, local)):
        forms.setdefault(form, added)
    return tuple((added, form) for form, added in forms.items() if folded(form))


@cache
def _local() -> re.Pattern[str]:
    codes = "|".join(names_table()["languages"]["codes"])
    return re.compile(rf"[\s_.:@|/-]+(?:{codes})(?:[-_][a-z]{{2}}(?:-\w+)?)?$", re.IGNORECASE)


def image_number(header: str) -> Rank | None:
    """The rank of one of several columns of images (`IMAGE3`, `other_image_url1`, `Bild 2`), the number
    aside; None for other columns."""
    found = _NUMBER.match(header.strip())
    if found is None:
        return None
    ranks = [rank(role, f"{found[1]} {found[3]}") for role in ("images", "more_images")]
    return min((known for known in ranks if known is not None), default=None)


def level_number(header: str) -> int | None:
    """Which level of the label a column holds, by its number: 2 for `level_2`, `Kategorie 2`, `L2`."""
    found = _NUMBER.match(header.strip())
    return int(found[2]) if found and folded(found[1] + found[3]).removesuffix("name") in _stems() else None


@cache
def _stems() -> frozenset[str]:
    levels = names_table()["levels"]
    categories = [folded(name) for name in levels["category"]]
    words = [folded(name) for name in levels["level"]]
    pairs = {a + b for a in categories for b in words} | {b + a for a in categories for b in words}
    return frozenset({*categories, *words, *pairs})


def named_levels(headers: Iterable[str]) -> tuple[str, ...]:
    """The columns a level by name, top first, such as `category` and `sub_category`; none: `()`."""
    by_name: dict[str, str] = {}
    for header in headers:
        by_name.setdefault(folded(header), header)
    for names in names_table()["levels"]["named"]:
        found = tuple(by_name[key] for key in map(folded, names) if key in by_name)
        if len(found) > 1 and folded(names[0]) in by_name:
            return found
    return ()


def is_label_like(header: str) -> bool:
    """Whether a name speaks for a label, whatever else it says: `category_slug`, `Unterkategorie`."""
    key = folded(header)
    numbered = level_number(header) is not None and not re.fullmatch(r"l\d+", key)  # `L2` may be a length
    return numbered or any(folded(sign) in key for sign in _signs("label"))


def is_about_label(header: str) -> bool:
    """Whether a column tells something of the label and is not it: `category_url`, `category_count`."""
    key = folded(header)
    shorter = {key.removesuffix(end) for end in map(folded, _signs("about"))} - {key}
    return any(folded(sign) in rest for rest in shorter for sign in _signs("label"))


def hints_at_label(header: str) -> bool:
    """Whether a name may well be that of a label: `department`, `tag`."""
    return any(folded(sign) in folded(header) for sign in _signs("hint"))


def is_other(header: str) -> bool:
    """Whether a name speaks for a property that is no label: `brand`, `colour`, `price`."""
    return any(folded(sign) in folded(header) for sign in _signs("other"))


def _signs(kind: str) -> list[str]:
    return names_table()["signs"][kind]


def is_kind(value: str) -> bool:
    """Whether a value says what kind of record a product is to its platform: `simple`, `variation`."""
    parts = [part for part in value.split(",") if part.strip()]
    return len(value) <= _SHORT and all(exact(part) in _values("kinds") for part in parts)


def is_flag(value: str) -> bool:
    """Whether a value says yes or no."""
    return len(value) <= _SHORT and exact(value) in _values("flags")


@cache
def _values(kind: str) -> frozenset[str]:
    return frozenset(map(exact, names_table()["cells"][kind]))
