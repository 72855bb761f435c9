"""Which column of a file is what: found by name, shown to the person, set by hand where guessing fails."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from aisle.errors import CatalogError, did_you_mean
from aisle.regular_files import read_text

# Names as exports write them, compared without case, spaces and signs; the first that occurs wins.
NAMES: dict[str, tuple[str, ...]] = {
    "id": (
        *("productid", "id", "sku", "asin", "uniqid", "itemid", "listingid", "adid", "articleid"),
        *("productcode", "reference", "handle", "gtin", "ean", "uuid"),
    ),
    "title": (
        *("title", "producttitle", "productname", "name", "itemname", "listingtitle", "productdisplayname"),
        *("itemtitle", "designation", "titre", "nom", "titel", "bezeichnung", "titulo", "nombre", "titolo"),
    ),
    "description": (
        *("description", "productdescription", "desc", "longdescription", "body", "bodyhtml", "details"),
        *("itemdescription", "text", "beschreibung", "descripcion", "descrizione", "descriptionhtml"),
    ),
    "category": (
        *("category", "categorypath", "productcategory", "googleproductcategory", "categories"),
        *("categorytree", "productcategorytree", "producttype", "categoryid", "prdtypecode", "breadcrumbs"),
        *("breadcrumb", "taxonomy", "label", "class", "categorie", "kategorie", "categoria"),
        *("categoriesraw", "cat", "categoryname", "categorylabel"),
    ),
    "split": ("split", "subset", "datasetsplit", "partition"),
    "weight": ("weight", "sampleweight", "rowweight"),
    "date": (
        *("date", "createdat", "created", "listedat", "publishedat", "dateadded", "timestamp"),
        *("createddate", "postedat", "datetime"),
    ),
    "group": (
        *("group", "groupid", "itemgroupid", "parentid", "parentsku", "variantof", "family", "parentasin"),
    ),
}
_IMAGES = (
    *("images", "image", "imagefiles", "imagefile", "imagepaths", "imagepath", "imageurls", "imageurl"),
    *("imagelinks", "imagelink", "pictures", "picture", "photos", "photo", "img", "pics"),
)
_NUMBERED_IMAGE = re.compile(
    r"^(?:additional)?(?:image|img|picture|photo|pic)(?:link|url|path|file|src)?\d+$"
)
_LEVEL = re.compile(r"^(?:category|categorie|kategorie|cat|categoria)?(?:level|lvl|l|niveau|ebene)?(\d+)$")
_NAMED_LEVELS = (
    ("mastercategory", "subcategory", "articletype"),
    ("maincategory", "subcategory", "subsubcategory"),
    ("department", "category", "subcategory"),
    ("category", "subcategory", "subsubcategory"),
)
_LABEL_LIKE = re.compile(r"categor|kategori|taxonomy|breadcrumb|articletype|producttype|^level\d|^lvl\d")


@dataclass(frozen=True)
class Columns:
    """What each column of a catalogue holds. `None` and `()`: there is none.

    category: one label a row (a path, an id, a JSON list); levels: a column a level, top first.
    images: paths or bytes, `image_template` builds a path from other columns
    (`"images/image_{imageid}_product_{productid}.jpg"`). group: variants of one product share it.
    vectors: embeddings. fields: further text, kept under its own name. ignored: left out of the
    fields, so that a second label column cannot give the answer away.
    delimiter, separator, image_separator: how labels part levels, how they part several categories,
    how cells part pictures; None: found over the column.
    """

    id: str | None = None
    title: str | None = None
    description: str | None = None
    category: str | None = None
    levels: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    image_template: str | None = None
    split: str | None = None
    weight: str | None = None
    date: str | None = None
    group: str | None = None
    vectors: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    delimiter: str | None = None
    separator: str | None = None
    image_separator: str | None = None

    @cached_property
    def text(self) -> dict[str, str]:
        """Field name -> column: `title` and `description` first, the rest under their own names."""
        named = {"title": self.title, "description": self.description}
        found = {name: column for name, column in named.items() if column is not None}
        return found | {column: column for column in self.fields if column not in found}

    @property
    def label(self) -> tuple[str, ...]:
        """The columns that hold the label; none in a catalogue without labels."""
        return (self.category,) if self.category is not None else self.levels

    def describe(self) -> list[tuple[str, str]]:
        """(what, which columns) pairs for people to read."""
        lines = []
        for part in fields(self):
            value = getattr(self, part.name)
            if value not in (None, (), ""):
                lines.append(
                    (part.name.replace("_", " "), ", ".join(value) if isinstance(value, tuple) else value)
                )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """What is set, as plain values: what a TOML file would say."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items() if v not in (None, ())}


_LISTS = {"levels", "images", "vectors", "fields", "ignored"}


def wanted(columns: "Mapping[str, Any] | Columns | str | Path | None") -> dict[str, Any]:
    """The user's own mapping, checked: a mapping, a `Columns`, or a TOML file that holds one.

    Raises:
        CatalogError: an unknown key, a value of the wrong type, or an unreadable TOML file.
    """
    if columns is None:
        return {}
    if isinstance(columns, Columns):
        columns = columns.to_dict()
    if isinstance(columns, str | Path):
        columns = _from_toml(Path(columns))
    known = [part.name for part in fields(Columns)]
    checked: dict[str, Any] = {}
    for key, value in columns.items():
        if key not in known:
            near = did_you_mean(str(key), known)
            raise CatalogError(f"columns: unknown key {key!r} (known: {', '.join(known)}).{near}")
        if value is None:
            continue
        if key in _LISTS:
            value = (value,) if isinstance(value, str) else tuple(value)
        if not all(isinstance(v, str) for v in (value if isinstance(value, tuple) else (value,))):
            raise CatalogError(f"columns: {key!r} must name columns, not {value!r}")
        checked[key] = value
    return checked


def _from_toml(path: Path) -> Mapping[str, Any]:
    try:
        data = tomllib.loads(read_text(path))
    except (OSError, ValueError) as error:
        raise CatalogError(f"columns file {path}: {error}") from error
    return data.get("columns", data)


def find(
    names: Iterable[str],
    given: Mapping[str, Any],
    binary: Iterable[str] = (),
    vectors: Iterable[str] = (),
    kept: Iterable[str] = (),
) -> Columns:
    """Give every column of a file its part: what the user said first, then by name.

    names: the file's columns in order; binary: those that hold bytes; vectors: those that hold lists
    of numbers; kept: those that stay fields whatever their names are. A key given as `""` says that there
    is no such column.

    Raises:
        CatalogError: the user named a column that the file has not.
    """
    names, bytes_, lists, stay = list(names), set(binary), tuple(vectors), set(kept)
    _check(names, given)
    chosen: dict[str, Any] = {k: v for k, v in given.items() if k in _SETTINGS or v not in ("", ("",))}
    closed = set(given)
    if "category" in closed or "levels" in closed:
        closed |= {"category", "levels"}

    def free() -> dict[str, str]:
        """Columns without a part yet, with their simplified names."""
        taken = _named(chosen) | stay
        return {n: re.sub(r"[\W_]+", "", n.casefold()) for n in names if n not in taken and n not in lists}

    if "levels" not in closed:
        levels = _levels(free())
        if levels:
            chosen["levels"] = levels
    for key, known in NAMES.items():
        if key in closed:
            continue
        found = [n for n, simple in free().items() if simple in known and n not in bytes_]
        if key == "category" and "levels" in chosen and not set(NAMES[key][:7]) & {free()[n] for n in found}:
            continue
        if found:
            chosen[key] = min(found, key=lambda n: known.index(free()[n]))
    if "category" in chosen:
        chosen.pop("levels", None)
    if "images" not in closed and "image_template" not in chosen:
        chosen["images"] = _images(free(), bytes_)
    chosen.setdefault("vectors", tuple(n for n in lists if n not in _named(chosen)))
    rest = free()
    if "fields" not in closed:
        leaks = tuple(n for n, simple in rest.items() if _LABEL_LIKE.search(simple) or n in bytes_)
        chosen["ignored"] = (*chosen.get("ignored", ()), *leaks)
        own = _named(chosen)
        chosen["fields"] = tuple(n for n in names if n not in own and (n in stay or n in rest))
    return Columns(**chosen)


_SETTINGS = ("image_template", "delimiter", "separator", "image_separator")


def _named(chosen: Mapping[str, Any]) -> set[str]:
    """Every column that has a part."""
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


def _levels(free: Mapping[str, str]) -> tuple[str, ...]:
    numbered = {int(m[1]): n for n, simple in free.items() if (m := _LEVEL.match(simple))}
    if len(numbered) > 1 and sorted(numbered) == list(range(min(numbered), max(numbered) + 1)):
        return tuple(numbered[k] for k in sorted(numbered))
    by_name = {simple: n for n, simple in free.items()}
    for names in _NAMED_LEVELS:
        found = tuple(by_name[name] for name in names if name in by_name)
        if len(found) > 1 and names[0] in by_name:
            return found
    return ()


def _images(free: Mapping[str, str], binary: set[str]) -> tuple[str, ...]:
    for name in _IMAGES:
        found = [n for n, simple in free.items() if simple == name]
        if found:
            more = [n for n, simple in free.items() if _NUMBERED_IMAGE.match(simple)]
            return (*found, *more)
    numbered = tuple(n for n, simple in free.items() if _NUMBERED_IMAGE.match(simple))
    return numbered or tuple(n for n in free if n in binary)[:1]
