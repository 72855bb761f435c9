"""Formats of category trees: text, tables, JSON and XML, with variants of published trees."""

import csv
import json
import re
from pathlib import Path

from aisle.taxonomy.entries import Parsed
from aisle.taxonomy.formats.json_trees import json_entries
from aisle.taxonomy.formats.rows import csv_rows
from aisle.taxonomy.formats.tables import table_entries
from aisle.taxonomy.formats.text import text_entries
from aisle.taxonomy.formats.xml_trees import xml_entries

KINDS = (
    "Google (text with ids, several languages), Shopify (categories.txt, JSON), Facebook, Amazon browse "
    "tree, GS1 GPC (XML, JSON), UNSPSC, HS or CN codes, ETIM, eCl@ss, category exports of Akeneo, Magento "
    "and WooCommerce; or any text, CSV, JSON or workbook with paths, parents, levels or hierarchical codes"
)

__all__ = ["KINDS", "parse_tree"]


def parse_tree(text: str, path: Path) -> Parsed:
    """The categories of a file's text, in the format that its content has.

    Args:
        text: the content.
        path: the file, whose ending decides where content does not.

    Raises:
        TaxonomyError: the text holds no tree.
    """
    start = text.lstrip()[:1]
    suffix = path.suffix.lower()
    if suffix == ".json" or start in ("{", "["):
        return json_entries(json.loads(text))
    if start == "<":
        return xml_entries(text)
    if suffix in (".csv", ".tsv", ".tab") or _is_table(text):
        return table_entries(csv_rows(text))
    return text_entries(text)


def _is_table(text: str) -> bool:
    """Whether text is CSV with a header: Facebook's file, and code tables, end in .txt too."""
    lines = [line for line in text.splitlines()[:200] if line.strip() and not line.startswith("#")]
    if len(lines) < 2:
        return False
    for delimiter in ",;\t|":
        try:
            header, *body = list(csv.reader(lines, delimiter=delimiter))
        except csv.Error:
            continue
        has_header = all(re.fullmatch(r"\W*[A-Za-z][\w .()-]{0,40}\W*", name.strip()) for name in header)
        if len(header) > 1 and has_header and sum(len(row) == len(header) for row in body) >= 0.9 * len(body):
            known = {"id", "code", "category_id", "categoryid", "name", "title", "parent", "category", "path"}
            if known & {name.strip().casefold() for name in header} or len(header) > 3:
                return True
    return False
