"""The category list of a feed, to which its products refer by code.

`<categories><category id="2" parentId="1">Mugs</category></categories>` of YML (Yandex Market and others),
the same with child elements, and the nested groups of CommerceML (1C, Bitrix).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from aisle.data.readers.xml_structure import XmlPath

CODE_COLUMNS = ("categoryId", "category_id", "CategoryId", "categoryID", "Группы.Ид")
_LISTS = {("categories", "category"), ("catalog", "category"), ("Группы", "Группа")}
_CODES, _PARENTS = ("id", "code", "Ид"), ("parentid", "parent_id", "parent", "parentcode")
_NAMES = ("name", "title", "Наименование")


def is_category(names: Iterable[str], records: XmlPath) -> bool:
    """Whether an element is an item of a list of categories, and neither a record nor around the records.

    Args:
        names: The names of the open elements.
        records: The path of the records.
    """
    path = tuple(names)
    return path[-2:] in _LISTS and records[: len(path)] != path


class CategoryList:
    """Categories by code, as a document lists them."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[str | None, str]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, element: Any, parent: str | None = None) -> None:
        """Add an item of the list, and those nested in it."""
        texts = {child.name: "".join(child.text).strip() for child in element.children}
        known = {key.lower(): text for key, text in (texts | element.attributes).items()}
        code = next((known[key.lower()] for key in _CODES if known.get(key.lower())), None)
        if code is None:
            return
        name = next((known[key.lower()] for key in _NAMES if known.get(key.lower())), None)
        above = next((known[key] for key in _PARENTS if known.get(key)), parent)
        self._rows.setdefault(code, (above, name or "".join(element.text).strip()))
        for group in element.children:
            for inner in group.children:
                if (group.name, inner.name) in _LISTS:
                    self.add(inner, code)

    def path(self, code: object) -> list[str]:
        """The names from the root, or from where parents repeat, to a category; none for an unknown code."""
        names: dict[str, str] = {}
        while isinstance(code, str) and code in self._rows and code not in names:
            above, names[code] = self._rows[code]
            code = above
        return list(names.values())[::-1]

    def paths(self) -> dict[str, tuple[str, ...]]:
        """Code -> path of names."""
        return {code: tuple(self.path(code)) for code in self._rows}

    def with_category(self, record: dict[str, Any]) -> dict[str, Any]:
        """A record with the path of its category, where it names one by code."""
        if not self._rows or "category" in record:
            return record
        codes: Any = next((record[name] for name in CODE_COLUMNS if name in record), None)
        first = codes[0] if isinstance(codes, list) and codes else codes
        names = self.path(first if not isinstance(first, Mapping) else None)
        return record | {"category": names} if names else record
