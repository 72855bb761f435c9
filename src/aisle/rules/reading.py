"""What a rules file names and where: its rules' lines, categories of the tree, and list files; and errors."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aisle.encodings import detect
from aisle.errors import did_you_mean, first_line
from aisle.rules.conditions import RulesError
from aisle.rules.config import CellTest, Range, RuleConfig, RulesConfig
from aisle.rules.text import fold_value
from aisle.taxonomy import DELIMITER, Taxonomy, format_path

_HEADER = re.compile(r"[ \t]*\[\[[ \t]*rule[ \t]*\]\]")
_BYTES = 64 << 20  # of a rules file or a list


class CategoryFinder:
    """Finds categories by path or id."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self._known: dict[str, int] = {}

    def find(self, name: str, fail: Callable[[str], RulesError]) -> int:
        """The node of a path or an id.

        Raises:
            RulesError: There is none.
        """
        if name not in self._known:
            node = self.taxonomy.find(name)
            if node is None:
                node = self.taxonomy.find([part.strip() for part in name.split(DELIMITER.strip())])
            if node is None:
                node = self._folded.get(fold_value(name))
            if node is None:
                raise fail(f"category {name!r} is not in the tree.{self._near(name)}")
            self._known[name] = node
        return self._known[name]

    @cached_property
    def _folded(self) -> dict[str, int]:
        return {fold_value(format_path(node.path)): i for i, node in enumerate(self.taxonomy.nodes)}

    def _near(self, name: str) -> str:
        near = self.taxonomy.did_you_mean(name)
        if near:
            return near
        same = [format_path(n.path) for n in self.taxonomy.nodes if fold_value(n.name) == fold_value(name)]
        tops = [format_path(n.path) for n in self.taxonomy.nodes if len(n.path) == 1]
        shown = same or tops
        more = ", …" if len(shown) > 5 else ""
        kind = "Categories of this name" if same else "Top categories"
        return f" {kind}: {', '.join(map(repr, shown[:5]))}{more}."


class Places:
    """Where rules are in a file, for messages."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.lines = [at for at, line in enumerate(text.splitlines(), 1) if _HEADER.match(line)]

    def error(self, number: int, rule: RuleConfig | Mapping[str, Any]) -> Callable[[str], RulesError]:
        """Makes errors of one rule."""
        name = rule.id if isinstance(rule, RuleConfig) else rule.get("id")
        line = f" line {self.lines[number]}" if number < len(self.lines) else ""
        called = f"rule {name!r}" if isinstance(name, str) and name else f"rule {number + 1}"
        return lambda message: RulesError(f"{self.name}{line}, {called}: {message}")


def check_ids(rules: Iterable[RuleConfig], where: Places) -> None:
    """Check that no two rules have the same id.

    Raises:
        RulesError: Two have.
    """
    seen: dict[str, int] = {}
    for number, rule in enumerate(rules):
        if rule.id in seen:
            first = seen[rule.id]
            at = f"line {where.lines[first]}" if first < len(where.lines) else f"rule {first + 1}"
            raise where.error(number, rule)(f"the id is that of another rule ({at}): each needs its own")
        seen[rule.id] = number


def validation_error(error: ValidationError, data: Mapping[str, Any], where: Places) -> RulesError:
    """One sentence about the first thing that is wrong."""
    found = error.errors()[0]
    place = list(found["loc"])
    message = str(found["msg"]).removeprefix("Value error, ")
    if len(place) < 2 or place[0] != "rule" or not isinstance(place[1], int):
        if found["type"] == "extra_forbidden":
            near = did_you_mean(str(place[-1]), RulesConfig.model_fields)
            message = f"unknown key.{near or ' The keys are: rule, fields.'}"
        elif place == ["rule"]:
            message = "each rule begins with [[rule]]"
        return RulesError(f"{where.name}: {'.'.join(map(str, place))}: {message}")
    rule = data["rule"][place[1]]
    inner = [str(part) for part in place[2:] if not isinstance(part, int)]
    if found["type"] == "extra_forbidden":
        model = RuleConfig if len(inner) == 1 else Range if inner[0] == "confidence" else CellTest
        message = f"unknown key.{did_you_mean(inner[-1], model.model_fields)}"
        message += "" if "mean" in message else f" The keys are: {', '.join(model.model_fields)}."
    elif found["type"] == "missing":
        message = "is missing"
    key = f"{'.'.join(inner)}: " if inner else ""
    return where.error(place[1], rule if isinstance(rule, Mapping) else {})(f"{key}{message}")


def list_names(rule: RuleConfig) -> Iterator[str]:
    """The list files that a rule names."""
    for table in (*rule.when, *rule.unless):
        for test in table.values():
            yield from (name for name in (test.equals_file, test.contains_file) if name is not None)


def read_entries(
    name: str, read_list: Callable[[str], str] | None, fail: Callable[[str], RulesError]
) -> tuple[str, ...]:
    """The entries of a list file, each once; lines that begin with `#` are comments.

    Raises:
        RulesError: There is no such list, or it is empty.
    """
    try:
        if read_list is None:
            raise RulesError(f"list {name!r} was not sent with the rules")
        text = read_list(name)
    except RulesError as error:
        raise fail(str(error)) from error
    except KeyError:
        raise fail(f"list {name!r} was not sent with the rules") from None
    entries = [line.strip() for line in text.removeprefix("\ufeff").splitlines()]
    found = tuple(dict.fromkeys(entry for entry in entries if entry and not entry.startswith("#")))
    if not found:
        raise fail(f"list {name!r} has no entry")
    return found


def read_text(file: Path) -> str:
    """The text of a file, in whatever encoding it is.

    Raises:
        RulesError: It cannot be read.
    """
    try:
        if not file.is_file():
            raise RulesError(f"{file}: there is no such file")
        if file.stat().st_size > _BYTES:
            raise RulesError(f"{file}: {file.stat().st_size:,} bytes are too long for rules")
        data = file.read_bytes()
        return data.decode(detect(data).name)
    except UnicodeError as error:
        raise RulesError(f"{file}: its text cannot be decoded: {first_line(error)}") from error
    except OSError as error:
        raise RulesError(f"{file}: cannot be read: {error.strerror or error}") from error
