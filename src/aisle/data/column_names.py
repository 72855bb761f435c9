"""Matches column names with roles, by the names in `column_names.toml`.

Several columns may have a name of the same role. A `Rank` orders them: an exact English name before one that
differs in accents, before a plural, before a translation, before a name with an addition (`Name (EN)`,
`name_de`).
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
# Variants of letters that Unicode does not decompose into a letter and an accent.
_LETTERS = str.maketrans(
    {"ı": "i", "ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ى": "ي", "ё": "е"}
)
_NAME_PREFIX = re.compile(
    r"^(?:g|tax|post|product|item|data|offer|attributes|fields|node|_source|varia(?:nt|tion)s?)\s*[:./]\s*(?=\w)",
    re.IGNORECASE,
)
_NUMBER_ONE = re.compile(r"(?<=\w)[\s_-]*1$")  # `Bezeichnung 1`
_ADDITION = re.compile(r"[\s*:]*[(\[（【<][^()\[\]（）【】<>]*[)\]）】>][\s*:]*$")
_NUMBER = re.compile(r"^(\D*)(\d{1,3})(\D*)$")
_IMAGE = re.compile(
    r"imm?ag|img|pic|phot|foto|fot|bild|afbeeld|visuel|kep|kuv|zdje|obraz|obrazok|resim|gorsel|slik|gambar|anh|фото"
    r"|изобр|картин|зображ|снимк|εικον|画像|写真|图|圖|이미지|사진|รูป|תמונ|صور"
)
_MAX_VALUE = 40  # characters of values that name a record type or a flag
_TRANSLATED, AMBIGUOUS, WITH_ADDITION, _WITH_LANGUAGE, VAGUE = 3, 6, 10, 20, 30


class Rank(NamedTuple):
    """How well a column name matches a role; the smallest is best.

    Attributes:
        tier: 0: an exact English name or a platform's code; 1: differs in accents; 2: a plural; 3 to 5: the
            same for a translation; 6 to 8: for an ambiguous word. 10 more with an addition in parentheses, 20
            more with a language, 30 more for a vague name.
        position: The position in the list of names.
    """

    tier: int
    position: int


def exact(name: str) -> str:
    """Remove case, spaces and punctuation: `exact("Product Name*") == "productname"`."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


@lru_cache(4096)
def folded(name: str) -> str:
    """Remove accents as well: `folded("Catégorie") == "categorie"`."""
    letters = unicodedata.normalize("NFKD", name.casefold().translate(_LETTERS))
    return re.sub(r"[\W_]+", "", letters)


def singular(name: str) -> str:
    """The singular of an English plural, by its ending; other words are unchanged."""
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
    """Names of a role -> their position: exact, without accents, and in the singular."""

    tier: int
    exact: Mapping[str, int]
    folded: Mapping[str, int]
    singular: Mapping[str, int]


@cache
def _names(role: str) -> tuple[_Names, ...]:
    """The names of a role: English ones and codes, translations, ambiguous ones, vague ones."""
    tiers = {"en": 0, "ambiguous": AMBIGUOUS, "vague": VAGUE}
    groups: dict[int, list[tuple[int, str]]] = {0: [], _TRANSLATED: [], AMBIGUOUS: [], VAGUE: []}
    for language, names in names_table()[role].items():
        groups[tiers.get(language, _TRANSLATED)] += enumerate(names)
    columns = []
    for tier, positions in groups.items():
        positions = sorted(positions, reverse=True)  # of equal spellings, the first name wins
        keys = (exact, folded, lambda name: singular(folded(name)))
        columns.append(_Names(tier, *({key(name): position for position, name in positions} for key in keys)))
    return tuple(columns)


def rank(role: str, header: str) -> Rank | None:
    """How well a column name matches a role; None: not at all."""
    if role == "group" and folded(header) == "groups":
        return None  # in Akeneo, lists of associated products
    ranks = []
    for added, form in _forms(header):
        keys = exact(form), folded(form), singular(folded(form))
        for names in _names(role):
            for penalty, (key, positions) in enumerate(zip(keys, names[1:], strict=True)):
                if key in positions:
                    ranks.append(Rank(names.tier + added + penalty, positions[key]))
    return min(ranks, default=None)


@lru_cache(4096)
def _forms(header: str) -> tuple[tuple[int, str], ...]:
    """(tier, form) of a name: itself, without prefix and addition, without the number 1 or a language."""
    short = _ADDITION.sub("", _NAME_PREFIX.sub("", header))
    without_language = _language_suffix().sub("", short)
    forms: dict[str, int] = {}
    for added, form in (
        (0, header),
        (WITH_ADDITION, short),
        (WITH_ADDITION, _NUMBER_ONE.sub("", short)),
        (_WITH_LANGUAGE, without_language),
    ):
        forms.setdefault(form, added)
    return tuple((added, form) for form, added in forms.items() if folded(form))


@cache
def _language_suffix() -> re.Pattern[str]:
    codes = "|".join(names_table()["languages"]["codes"])
    return re.compile(rf"[\s_.:@|/-]+(?:{codes})(?:[-_][a-z]{{2}}(?:-\w+)?)?$", re.IGNORECASE)


def image_number(header: str) -> Rank | None:
    """The rank of a numbered image column (`IMAGE3`, `other_image_url1`, `Bild 2`); None for others."""
    match = _NUMBER.match(header.strip())
    if match is None:
        return None
    ranks = [rank(role, f"{match[1]} {match[3]}") for role in ("images", "more_images")]
    return min((rank_ for rank_ in ranks if rank_ is not None), default=None)


def level_number(header: str) -> int | None:
    """The level that a numbered column holds: 2 for `level_2`, `Kategorie 2`, `L2`; None for others."""
    match = _NUMBER.match(header.strip())
    is_level = match and folded(match[1] + match[3]).removesuffix("name") in _level_words()
    return int(match[2]) if match and is_level else None


@cache
def _level_words() -> frozenset[str]:
    levels = names_table()["levels"]
    categories = [folded(name) for kind in ("category", "sub_category") for name in levels[kind]]
    words = [folded(name) for name in levels["level"]]
    pairs = {a + b for a in categories for b in words} | {b + a for a in categories for b in words}
    return frozenset({*categories, *words, *pairs})


def level_above(header: str, headers: Iterable[str]) -> tuple[str, ...]:
    """The column above the top numbered level, such as `Main Category` of `Sub-Category 1`, or none."""
    key = folded(re.sub(r"\d+", "", header))
    lines = [[folded(name) for name in names] for names in names_table()["levels"]["named"]]
    above = {line[line.index(key) - 1] for line in lines if key in line[1:]}
    return tuple(name for name in headers if folded(name) in above)[:1]


def named_levels(headers: Iterable[str]) -> tuple[str, ...]:
    """Level columns by name, top first, such as `category` and `sub_category`; `()` if there are none."""
    by_name: dict[str, str] = {}
    for header in headers:
        by_name.setdefault(folded(header), header)
    for names in names_table()["levels"]["named"]:
        levels = tuple(by_name[key] for key in map(folded, names) if key in by_name)
        if len(levels) > 1 and folded(names[0]) in by_name:
            return levels
    return ()


def is_label_like(header: str) -> bool:
    """Whether a name contains a word for category: `category_slug`, `Unterkategorie`."""
    key = folded(header)
    numbered = level_number(header) is not None and not re.fullmatch(r"l\d+", key)  # `L2` may be a length
    return numbered or any(folded(fragment) in key for fragment in _fragments("label"))


def is_about_label(header: str) -> bool:
    """Whether a column describes the label and is not the label: `category_url`, `category_count`."""
    key = folded(header)
    shorter = {key.removesuffix(end) for end in map(folded, _fragments("about"))} - {key}
    return any(folded(fragment) in rest for rest in shorter for fragment in _fragments("label"))


def hints_at_label(header: str) -> bool:
    """Whether a name may be that of a label: `department`, `tag`."""
    return any(folded(fragment) in folded(header) for fragment in _fragments("hint"))


def names_images(header: str) -> bool:
    """Whether a name contains a word for image: `Visuel`, `Kép 1`."""
    return _IMAGE.search(folded(header)) is not None


def is_other_property(header: str) -> bool:
    """Whether a name is that of another property: `brand`, `colour`, `price`."""
    return any(folded(fragment) in folded(header) for fragment in _fragments("other"))


def _fragments(kind: str) -> list[str]:
    return names_table()["fragments"][kind]


def is_record_type(value: str) -> bool:
    """Whether a value names a platform's record type, such as `simple` or `variation`."""
    parts = [part for part in value.split(",") if part.strip()]
    return len(value) <= _MAX_VALUE and all(exact(part) in _values("record_types") for part in parts)


def is_flag(value: str) -> bool:
    """Whether a value means yes or no."""
    return len(value) <= _MAX_VALUE and exact(value) in _values("flags")


@cache
def _values(kind: str) -> frozenset[str]:
    return frozenset(map(exact, names_table()["cells"][kind]))
