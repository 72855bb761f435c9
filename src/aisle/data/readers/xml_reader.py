"""XML and HTML: product feeds, tables, and the pages and workbooks that shops export as `.xls`."""

import re
from collections.abc import Iterator
from functools import partial

import pyarrow as pa

from aisle.data.files import TableFile, text_pieces
from aisle.data.json_tables import rows_to_batches
from aisle.data.problems import Problems
from aisle.data.readers.base import ReadOptions, TableReader
from aisle.data.readers.markup_rows import EXCEL_NAMESPACE, excel_xml_sheets, html_sheets
from aisle.data.readers.sheets import sheet_batches
from aisle.data.readers.xml_records import xml_categories, xml_records
from aisle.encodings import HEAD, SAMPLE, detect, document_ending, foreign_format
from aisle.errors import CatalogError

_PIECE = 64 * 1024  # characters parsed at once
_DECLARED = re.compile(
    rb"<\?xml\b[^>]*?\bencoding\s*=\s*[\"']([\w.:-]+)|<meta\b[^>]*?\bcharset\s*=\s*[\"']?([\w.:-]+)", re.I
)


class XmlReader(TableReader):
    """RSS, Atom and YML feeds, any document of repeated elements, and tables in HTML, read as a stream."""

    endings = (".xml", ".rss", ".atom", ".yml", ".html", ".htm", ".xhtml")
    folder_endings = (".xml",)

    def read(
        self, table: TableFile, problems: Problems, first: int, options: ReadOptions
    ) -> Iterator[pa.RecordBatch]:
        """Read a file; the names of a record's elements are the columns.

        Raises:
            CatalogError: The file is not XML or HTML, not well-formed, cut off, or holds no records.
        """
        with table.open() as file:
            sample = file.read(SAMPLE)
        declared = _DECLARED.search(sample[:4096])
        usual = (declared[1] or declared[2]).decode() if declared else None
        encoding = detect(sample, options.encoding, usual)
        suffix = document_ending(sample[:HEAD], encoding.name)
        if suffix not in (".xml", ".html"):
            other_format = foreign_format(sample[:HEAD], encoding.name)
            raise CatalogError(f"{table.path}: not XML{f', but {other_format}' if other_format else ''}")
        if not encoding.sure:
            problems.add(
                None, None, "not UTF-8; the encoding was guessed", f"{table.path.name}: {encoding.name}"
            )
        options.note(encoding=encoding.name)
        open_text = partial(xml_pieces, table, encoding.name)
        if suffix == ".html":
            yield from sheet_batches(html_sheets(open_text), table.path, problems, first)
        elif EXCEL_NAMESPACE in sample[:4096].decode(encoding.name, "ignore"):
            yield from sheet_batches(
                excel_xml_sheets(open_text, str(table.path)), table.path, problems, first
            )
        else:
            records = xml_records(open_text(), str(table.path))
            yield from rows_to_batches(records, problems, first, encoding.name)

    def estimate_rows(self, table: TableFile) -> int | None:
        """None: records of XML have no line."""
        return None


def xml_category_paths(table: TableFile, encoding: str | None = None) -> dict[str, tuple[str, ...]]:
    """The category list of a feed: code -> path of names.

    Args:
        table: The file.
        encoding: Its encoding. Default: detected.

    Raises:
        CatalogError: It is not well-formed, or holds no records.
    """
    with table.open() as file:
        encoding_ = detect(file.read(SAMPLE), encoding)
    return xml_categories(xml_pieces(table, encoding_.name), str(table.path))


def xml_pieces(table: TableFile, encoding: str, skipped: int = 0) -> Iterator[str]:
    """The text of a file, cut outside references (`&#11;`).

    Args:
        table: The file.
        encoding: Its encoding; bytes that it cannot decode become lone surrogates.
        skipped: Bytes at the start that are left out, such as a byte-order mark.
    """
    rest = ""
    for text in text_pieces(table, encoding, _PIECE, skipped):
        text = rest + text
        cut = text.rfind("&", len(text) - 12)
        cut = len(text) if cut < 0 or ";" in text[cut:] else cut
        text, rest = text[:cut], text[cut:]
        yield text
    yield rest
