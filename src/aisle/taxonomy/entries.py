"""Categories as files hold them, and the tree that is made of them."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from aisle.encodings import decode_entities
from aisle.taxonomy.tree import CategoryPath, Node, Taxonomy, format_path


class TreeProblem(NamedTuple):
    """An irregularity in the file of a tree, and how it was read.

    Attributes:
        line: number of the line or entry, from 1.
        message: what is irregular.
        value: the text in question.
    """

    line: int
    message: str
    value: str

    def __str__(self) -> str:
        return f"tree, entry {self.line:,}: {self.message}: {self.value[:80]!r}"


class Entry(NamedTuple):
    """A category in a file.

    Attributes:
        line: number of the line or entry, from 1.
        id: its id; empty where the file has none.
        path: names from the top level down.
        assignable: whether products can be assigned to it, None where the file does not say.
        names: other names: in other languages, and synonyms.
        attributes: names of the attributes that its products have.
        aliases: further ids.
    """

    line: int
    id: str
    path: tuple[str | None, ...]
    assignable: bool | None = None
    names: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class Parsed(NamedTuple):
    """The result of a format's parser.

    Attributes:
        kind: the kind of tree, such as `Google product taxonomy`.
        entries: its categories.
        problems: irregularities that the parser found.
    """

    kind: str
    entries: list[Entry]
    problems: tuple[TreeProblem, ...] = ()


class TreeFile(NamedTuple):
    """A tree, and further data of its file.

    Attributes:
        taxonomy: the tree.
        problems: irregularities of the file.
        kind: the kind of file, such as `GS1 GPC`.
        names: other names of a node, by node id: in other languages, and synonyms.
        attributes: attributes of a node's products, by node id.
    """

    taxonomy: Taxonomy
    problems: tuple[TreeProblem, ...]
    kind: str = "tree"
    names: Mapping[str, tuple[str, ...]] = {}
    attributes: Mapping[str, tuple[str, ...]] = {}


def build_tree(parsed: Parsed) -> TreeFile:
    """Make nodes of the entries, and report irregularities.

    A repeated path becomes one node, with the further ids as aliases; a category without a name gets its id
    as name.
    """
    problems = list(parsed.problems)
    nodes: dict[CategoryPath, Node] = {}
    aliases: dict[str, str] = {}
    ids: dict[str, CategoryPath] = {}
    written: dict[CategoryPath, tuple[str | None, ...]] = {}
    names: dict[str, list[str]] = {}
    attributes: dict[str, tuple[str, ...]] = {}
    for entry in parsed.entries:
        path = _clean_path(entry, problems)
        if not path:
            continue
        node_id = entry.id or format_path(path)
        if ids.get(node_id, path) != path:
            problems.append(
                TreeProblem(entry.line, "its id was given to another category; left out", node_id)
            )
            continue
        ids[node_id] = path
        if path not in nodes:
            nodes[path], written[path] = Node(node_id, path, bool(entry.assignable)), entry.path
        elif nodes[path].id != node_id:
            same = "the same path" if entry.path == written[path] else "the same path but for spacing"
            message = f"{same} as id {nodes[path].id!r}; its id {node_id!r} now names that node too"
            problems.append(TreeProblem(entry.line, message, format_path(path)))
            aliases[node_id] = nodes[path].id
        node_id_ = nodes[path].id
        names.setdefault(node_id_, []).extend(clean_name(name) for name in entry.names)
        if entry.attributes:
            attributes[node_id_] = entry.attributes
        aliases |= {alias: node_id_ for alias in entry.aliases if alias and alias not in ids}
    other = {
        node.id: tuple(dict.fromkeys(name for name in names[node.id] if name and name != node.name))
        for node in nodes.values()
    }
    known = {node.id for node in nodes.values()}
    aliases = {alias: node_id for alias, node_id in aliases.items() if alias not in known}
    kept = {node_id: names_ for node_id, names_ in other.items() if names_}
    return TreeFile(Taxonomy(nodes.values(), aliases), tuple(problems), parsed.kind, kept, attributes)


def clean_name(text: str) -> str:
    """A name without entities and repeated spaces."""
    return " ".join(decode_entities(text).split())


def _clean_path(entry: Entry, problems: list[TreeProblem]) -> CategoryPath:
    """The path without empty levels at the end; a category without a name gets its id as name."""
    names = [clean_name(name or "") for name in entry.path]
    nameless = bool(names) and entry.path[-1] is None
    while names and not names[-1]:
        names.pop()
    if nameless:
        problems.append(TreeProblem(entry.line, "has no name; called by its id", entry.id))
        names.append(entry.id or "unnamed")
    if "" in names:
        problems.append(TreeProblem(entry.line, "a level above has no name; read without it", entry.id))
    return tuple(name for name in names if name)


def fold(name: str) -> str:
    """A column name for comparison: `Segment Title` and `segment_title` are `segmenttitle`."""
    return re.sub(r"[\W_]+", "", name.casefold())
