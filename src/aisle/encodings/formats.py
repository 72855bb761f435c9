"""Recognizes files that are not tables of text, by content."""

import codecs
import json
import re

HEAD = 256 * 1024  # bytes that are inspected
_BINARY = {
    b"\x1f\x8b": "gzip: let its name end in .gz",
    b"\x28\xb5\x2f\xfd": "Zstandard: let its name end in .zst",
    b"BZh": "bzip2: let its name end in .bz2",
    b"\xfd7zXZ": "xz: let its name end in .xz",
    b"\xfd7zXZ\x00": "xz: unpack it first",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive: unpack it first",
    b"Rar!\x1a\x07": "a RAR archive: unpack it first",
    b"PAR1": "Parquet: let its name end in .parquet",
    b"ARROW1": "Arrow IPC: let its name end in .arrow",
    b"FEA1": "Feather of the first version: save it as Parquet",
    b"Obj\x01": "Avro: save it as Parquet",
    b"SQLite": "an SQLite database: name its table, as in sqlite:///shop.db?table=products",
    b"\x00\x01\x00\x00Standard": "an Access database: export the table as CSV",
    b"\x89HDF": "HDF5: export it as Parquet",
    b"\x93NUMPY": "a NumPy array: save it as CSV or Parquet",
    b"\x80\x04\x95": "a Python pickle: save it as CSV or Parquet",
    b"\x80\x05\x95": "a Python pickle: save it as CSV or Parquet",
    b"%PDF": "a PDF document: export the table as CSV (UTF-8)",
    b"{\\rtf": "an RTF document: save the table as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: let its name end in .xls",
    b"\x09\x08\x10\x00": "an Excel workbook: let its name end in .xls",
    b"\x89PNG": "an image", b"\xff\xd8\xff": "an image", b"GIF8": "an image", b"II*\x00": "an image",
    b"MM\x00*": "an image",
}  # fmt: skip
_WITH_OFFSET = (
    (b"ustar", 257, "a tar archive: unpack it first"),
    (b"1AY&SY", 4, "bzip2: unpack it first"),
    (b"WEBP", 8, "an image"),
)
_ZIPS = (
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet: let its name end in .ods"),
    (b"opendocument", "an OpenDocument file: save the table as CSV (UTF-8)"),
    (b"word/", "a Word document: save the table as CSV (UTF-8)"),
    (b"ppt/", "a presentation: save the table as CSV (UTF-8)"),
    (b"xl/", "an Excel workbook: let its name end in .xlsx"),
    (b"[Content_Types].xml", "an Office document (a spreadsheet?): save the sheet as CSV (UTF-8)"),
)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PROLOG = re.compile(
    r"\s*(?:<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|<!doctype\b[^>\[]*(?:\[.*?\]\s*)?>)", re.I | re.S
)
_TAG = re.compile(r"\s*<\s*([a-z_][\w.:-]*)(?:\s[^<>]*)?/?>?", re.I)
_HEADER_OF_TAGS = re.compile(r"\s*<[^<>\n]*>\s*[,;|\t]")  # `<SKU>,<NAME>` names columns
_FEEDS = {"rss": "an RSS feed", "feed": "an Atom feed", "rdf:rdf": "an RDF feed", "urlset": "a sitemap"}
_HTML = {
    *("html", "head", "body", "table", "div", "p", "br", "meta", "title", "style", "script", "span", "form"),
    *("h1", "h2", "h3", "tr", "td", "th", "thead", "tbody", "center", "font", "pre"),
}
_XML = ": let its name end in .xml"
_HTML_PAGE = ": let its name end in .html"
_SEPARATOR = re.compile(r"\ufeff?\s*[\"']?sep *= *(\\t|tab|[^\r\n\"'])?[\"']?", re.I)


def encoding_of_mark(head: bytes) -> str | None:
    """The encoding of a byte-order mark; None without one."""
    return next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), None)


def utf16_without_mark(head: bytes) -> str | None:
    """UTF-16 without a byte-order mark, by its zero bytes in mostly Latin text; None for other text."""
    even, odd = head[::2], head[1::2]
    if len(head) > 3 and odd.count(0) > len(odd) / 2 > 4 * even.count(0):
        return "utf-16-le"
    if len(head) > 3 and even.count(0) > len(even) / 2 > 4 * odd.count(0):
        return "utf-16-be"
    return None


def foreign_format(head: bytes, encoding: str | None = None) -> str | None:
    """Recognize a file that is not a table of text.

    Args:
        head: The first bytes of the file.
        encoding: The encoding of the text, if it is known.

    Returns:
        What the file is, and what to do about it; None for a table of text.
    """
    if head.startswith(b"PK\x03\x04"):
        descriptions = (description for name, description in _ZIPS if name in head)
        return next(
            descriptions, "a ZIP archive (a spreadsheet?): unpack it, or save the sheet as CSV (UTF-8)"
        )
    binary = next((description for magic, description in _BINARY.items() if head.startswith(magic)), None)
    for magic, offset, description in _WITH_OFFSET:
        if head[offset : offset + len(magic)] == magic:
            return description
    return binary or _markup(_text(head[:HEAD], encoding))


def document_ending(head: bytes, encoding: str | None = None) -> str | None:
    """The usual ending of a document that holds a table: `.xlsx`, `.xml`, `.html`, `.parquet`; None for text.

    Args:
        head: The first bytes of the file.
        encoding: The encoding of the text, if it is known.
    """
    found = re.search(
        r"let its name end in (\.(?:xlsx?|ods|xml|html|parquet|arrow))$", foreign_format(head, encoding) or ""
    )
    return found[1] if found else None


def foreign_text(head: bytes, encoding: str | None = None) -> str | None:
    """What to do about a CSV file that contains JSON; None if it does not."""
    text = _text(head[:HEAD], encoding).lstrip("\ufeff \t\r\n")
    if not re.match(r'\[\s*\{\s*"|\{\s*"[^"\n]*"\s*:\s*[\[{"\d\-tfn]', text):
        return None
    first = text.splitlines()[0].rstrip()
    try:
        json.loads(first)
    except ValueError:  # the first of several lines
        return "JSON: let its name end in .json" if first[-1] in '[{,"' else None
    return f"JSON: let its name end in .json{'l' if first[0] == '{' else ''}"


def _text(head: bytes, encoding: str | None) -> str:
    name = encoding_of_mark(head) or encoding or utf16_without_mark(head) or "utf-8"
    try:
        return head.decode(name, "replace").lstrip("\ufeff\0")
    except (LookupError, UnicodeError):
        return head.decode("latin-1")


def _markup(text: str) -> str | None:
    """XML, HTML and feeds by name; None where the text is none of them."""
    declared = bool(re.match(r"\s*<\?xml\b", text, re.I))
    if re.match(r"\s*<!doctype\s+html\b", text, re.I):
        return f"HTML{_HTML_PAGE}"
    if re.match(r"\s*MIME-Version:", text, re.I) and "multipart/related" in text[:2000]:
        return "a web archive (MHTML): save the table as CSV (UTF-8)"
    excel = declared and 'progid="Excel.Sheet"' in text[:2000]
    passed = False
    while found := _PROLOG.match(text):
        text, passed = text[found.end() :], True
    tag = _TAG.match(text)
    if excel:
        return f"an Excel sheet as XML{_XML}"
    if tag is None or (_HEADER_OF_TAGS.match(text) and not declared):
        return f"XML{_XML}" if declared or (passed and not text.strip()) else None
    name = tag[1].lower()
    if name in _FEEDS:
        return f"XML, {_FEEDS[name]}{_XML}"
    return f"HTML{_HTML_PAGE}" if name in _HTML else f"XML{_XML}"


def separator_line(line: str) -> tuple[bool, str | None]:
    """Whether a first line only names the delimiter (`sep=;`, as Excel writes it), and that delimiter."""
    found = _SEPARATOR.match(line)
    if found is None:
        return False, None
    named = {"\\t": "\t", "tab": "\t"}.get((found[1] or "").lower(), found[1])
    return not line[found.end() :].strip(f",;|\t\r\n\"' {named or ''}"), named
