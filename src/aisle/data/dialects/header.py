"""Finds columns of a file by the names in a dialect."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from aisle.data.column_names import folded


class Header:
    """The column names of a file.

    Args:
        names: The names, in the order of the columns.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self._by_key: dict[str, str] = {}
        for name in self.names:
            self._by_key.setdefault(folded(name), name)
        for name in self.names:  # Google's attributes in a feed
            if name.lower().startswith("g:"):
                self._by_key.setdefault(folded(name[2:]), name)

    def find(self, alternatives: Sequence[str]) -> str | None:
        """The first column that has one of these names, in the order of the names."""
        for name in alternatives:
            if "*" in name:
                matches = self._matching(name)
                if matches:
                    return matches[0]
            elif folded(name) in self._by_key:
                return self._by_key[folded(name)]
        return None

    def find_all(self, names: Iterable[str]) -> list[str]:
        """All columns that have one of these names, in the order of the names; numbers ascend."""
        columns: dict[str, None] = {}
        for name in names:
            if "*" in name:
                columns.update(dict.fromkeys(self._matching(name)))
            elif folded(name) in self._by_key:
                columns.setdefault(self._by_key[folded(name)])
        return list(columns)

    def _matching(self, pattern: str) -> list[str]:
        matches = [name for name in self.names if wildcards(pattern, name) is not None]
        return sorted(matches, key=lambda name: [int(n) for n in re.findall(r"\d+", name)][:1])


def wildcards(pattern: str, name: str) -> tuple[str, ...] | None:
    """The match of each `*` of a pattern in a name.

    `wildcards("Attribute * name", "Attribute 12 name") == ("12",)`.

    Args:
        pattern: The pattern; neither case nor the width of blanks counts.
        name: The name of a column.

    Returns:
        The texts, in order; None if the name does not match.
    """
    match = _regex(pattern).fullmatch(name.strip().replace("’", "'"))
    return None if match is None else tuple(text.strip() for text in match.groups())


@lru_cache(1024)
def _regex(pattern: str) -> re.Pattern[str]:
    pattern = pattern.replace("’", "'")
    parts = [r"\s*".join(map(re.escape, part.split())) for part in pattern.split("*")]
    return re.compile(r"\s*(.*?)\s*".join(parts), re.IGNORECASE)
