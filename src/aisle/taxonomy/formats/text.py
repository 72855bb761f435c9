"""Trees as lines of text: an id and a path, a path, a code and a title, or names indented under parents."""

import re
from collections.abc import Callable, Iterator, Sequence

from aisle.encodings import decode_entities
from aisle.taxonomy.entries import Entry, Parsed, TreeProblem
from aisle.taxonomy.formats.codes import find_scheme

_DELIMITERS = (
    " > ", " >> ", ">>", ">", "＞", " » ", "»", " › ", "›", " → ", "→",
    " | ", "|", "::", " / ", "/", "\\", ";",
)  # fmt: skip
_NUMBERED = re.compile(r"^\s*(\d+)\s+-\s+(.+)$")
_GID = re.compile(r"^\s*(gid://\S+/)([\w-]+)\s+:\s+(.+)$")
_CODED = re.compile(r"^\s*([\d.\s]*\d)\s*(?:[-–:]\s*|\s+|\t)(\D.*)$")


def text_entries(text: str) -> Parsed:
    """The categories of lines of text."""
    lines = [(n, line.rstrip()) for n, line in enumerate(text.splitlines(), 1)]
    lines = [(n, line) for n, line in lines if line.strip() and not line.lstrip().startswith("#")]
    shopify = [(n, m[1], m[2], m[3]) for n, line in lines if (m := _GID.match(line))]
    if len(shopify) > len(lines) / 2:
        split = path_splitter([path for *_, path in shopify])
        entries = [Entry(n, gid + short, split(path), aliases=(short,)) for n, gid, short, path in shopify]
        return Parsed("Shopify product taxonomy", entries)
    if (coded := _coded(lines)) is not None:
        return coded
    numbered = [(n, m[1], m[2]) for n, line in lines if (m := _NUMBERED.match(line))]
    if len(numbered) > len(lines) / 2:
        split = path_splitter([path for _, _, path in numbered])
        entries = [Entry(n, node_id, split(path)) for n, node_id, path in numbered]
        return Parsed("Google product taxonomy", entries)
    if any(line[0] in " \t" for _, line in lines):
        return Parsed("indented names", list(_indented(lines)))
    split = path_splitter([line for _, line in lines])
    return Parsed("paths", [Entry(n, "", split(line)) for n, line in lines])


def _coded(lines: Sequence[tuple[int, str]]) -> Parsed | None:
    """Lines of a code and a title, such as `0101 Horses`."""
    coded = [(n, m[1].strip(), m[2].strip()) for n, line in lines if (m := _CODED.match(line))]
    if not coded or len(coded) < 0.9 * len(lines) or any(" > " in title for *_, title in coded):
        return None
    scheme = find_scheme([code for _, code, _ in coded])
    if scheme is None:
        return None
    titles = {code: title for _, code, title in coded}

    def path(code: str) -> tuple[str, ...]:
        above = scheme.parent.get(code, "")
        return (*(path(above) if above else ()), re.sub(r"^(?:[-–]\s*)+", "", titles[code]))

    entries = [Entry(n, code, path(code)) for n, code, _ in coded]
    wrong = tuple(TreeProblem(0, "its check digit is wrong", code) for code in scheme.invalid)
    return Parsed(scheme.kind, entries, wrong)


def _indented(lines: Sequence[tuple[int, str]]) -> Iterator[Entry]:
    open_levels: list[tuple[int, str]] = []
    for n, line in lines:
        indent = len(line.expandtabs(8)) - len(line.expandtabs(8).lstrip())
        name = re.sub(r"^(?:[-*+•–]|\d+[.)])\s+", "", line.strip())
        node_id = ""
        if match := _NUMBERED.match(name):
            node_id, name = match[1], match[2]
        while open_levels and open_levels[-1][0] >= indent:
            open_levels.pop()
        open_levels.append((indent, name))
        yield Entry(n, node_id, tuple(name for _, name in open_levels))


def path_splitter(paths: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """A function that splits paths at the delimiter with which most paths are children of another one."""
    paths = [decode_entities(path) for path in paths]
    known = set(paths)

    def children(delimiter: str) -> tuple[int, int]:
        deep = [path for path in paths if delimiter in path]
        return sum(path.rsplit(delimiter, 1)[0] in known for path in deep), len(deep)

    best = max(_DELIMITERS, key=lambda delimiter: (*children(delimiter), len(delimiter)))
    if not children(best)[1]:
        return lambda path: (decode_entities(path),)
    return lambda path: tuple(decode_entities(path).split(best))
