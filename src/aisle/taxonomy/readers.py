"""Reads published category trees; ids are kept, and irregularities reported as problems.

The format is detected by content (`aisle.taxonomy.formats`).
"""

import csv
from pathlib import Path
from typing import NamedTuple

from aisle.encodings import detect, foreign_format
from aisle.errors import TaxonomyError, did_you_mean
from aisle.regular_files import read_bytes
from aisle.taxonomy.entries import Parsed, TreeFile, TreeProblem, build_tree
from aisle.taxonomy.formats import KINDS, parse_tree
from aisle.taxonomy.formats.rows import SHEETS, sheet_rows
from aisle.taxonomy.formats.tables import table_entries
from aisle.taxonomy.locales import join_trees
from aisle.taxonomy.tree import Taxonomy


class ReadTree(NamedTuple):
    """A tree, and the problems of its file."""

    taxonomy: Taxonomy
    problems: tuple[TreeProblem, ...]


def read_taxonomy(path: str | Path) -> Taxonomy:
    """Read a tree; `read_tree` also returns the problems of the file.

    Args:
        path: the file, or a folder of one tree in several languages.

    Raises:
        TaxonomyError: the file is missing, or holds no tree.
    """
    return read_tree(path).taxonomy


def read_tree(path: str | Path) -> ReadTree:
    """Read a tree, and the problems of its file.

    Inner nodes are assignable only where a column `assignable` says so. A repeated path becomes one node,
    with the further ids as aliases; a category without a name gets its id as name. Both are reported as
    problems.

    Args:
        path: the file, or a folder of one tree in several languages.

    Raises:
        TaxonomyError: as `read_taxonomy`.
    """
    parsed = read_tree_file(path)
    return ReadTree(parsed.taxonomy, parsed.problems)


def read_tree_file(path: str | Path) -> TreeFile:
    """Read a tree with its problems, kind, names in other languages and attributes.

    Args:
        path: the file; or a folder of files of one tree, which are joined by id. Names come from the English
            one, else the first; those of the others are further names.

    Raises:
        TaxonomyError: as `read_taxonomy`; the message names the kinds of trees that are read.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _ENDINGS)
        if not files:
            raise TaxonomyError(f"{path}: the folder holds no tree; read are: {KINDS}")
        return join_trees({file: _read_file(file) for file in files})
    return _read_file(path)


_ENDINGS = (".txt", ".csv", ".tsv", ".tab", ".json", ".xml", *SHEETS)


def _read_file(path: Path) -> TreeFile:
    try:
        if path.suffix.lower() in SHEETS and path.is_file():
            return build_tree(table_entries(sheet_rows(path)))
        text = _text(path)
        if text.lstrip().startswith('{"nodes"'):
            return TreeFile(Taxonomy.from_json(text), (), "Aisle")
        return build_tree(_not_empty(parse_tree(text, path)))
    except TaxonomyError as error:
        raise TaxonomyError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    except (ValueError, RecursionError, csv.Error, KeyError, TypeError, AttributeError) as error:
        raise TaxonomyError(f"{path}: not a tree that can be read: {error}; read are: {KINDS}") from error


def _not_empty(parsed: Parsed) -> Parsed:
    if not parsed.entries:
        raise TaxonomyError(f"the tree is empty; read are: {KINDS}")
    return parsed


def _text(path: Path) -> str:
    try:
        raw = read_bytes(path)
    except OSError as error:
        suggestion = did_you_mean(
            path.name, [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        )
        raise TaxonomyError(f"{path}: the tree cannot be read: {error.strerror}.{suggestion}") from error
    encoding = detect(raw).name
    other_format = foreign_format(raw, encoding)
    if other_format is not None and not other_format.endswith("let its name end in .xml"):
        raise TaxonomyError(
            f"{path}: no tree, but {other_format.split(';')[0].split(':')[0]}; a tree is text, CSV, JSON, "
            "XML or a workbook"
        )
    if b"\0" in raw and not encoding.startswith("utf-"):
        raise TaxonomyError(f"{path}: not text; a tree is text, CSV, JSON, XML or a workbook")
    text = raw.decode(encoding, "replace").lstrip("\ufeff")
    if "\0" in text:
        raise TaxonomyError(f"{path}: not text; a tree is text, CSV, JSON, XML or a workbook")
    return text
