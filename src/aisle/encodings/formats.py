"""What bytes are where they are no table of text: recognised by content, whatever the file is called."""

import codecs
import json
import re

HEAD = 256 * 1024  # bytes that are looked at
_BINARY = {
    b"\x1f\x8b": "gzip: let its name end in .gz",
    b"\x28\xb5\x2f\xfd": "Zstandard: let its name end in .zst",
    b"BZh": "bzip2: let its name end in .bz2",
    b"\xfd7zXZ": "xz: let its name end in .xz",
    b"\xfd7zXZ\x00": "xz: unpack it first",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive: unpack it first",
    b"Rar!\x1a\x07": "a RAR archive: unpack it first",
    b"PAR1": "Parquet: let its name end in .parquet",
    b"ARROW1": "Arrow IPC: save it as Parquet",
    b"FEA1": "Feather: save it as Parquet",
    b"Obj\x01": "Avro: save it as Parquet",
    b"SQLite": "an SQLite database: export the table as CSV",
    b"\x00\x01\x00\x00Standard": "an Access database: export the table as CSV",
    b"\x89HDF": "HDF5: export it as Parquet",
    b"\x93NUMPY": "a NumPy array: save it as CSV or Parquet",
    b"\x80\x04\x95": "a Python pickle: save it as CSV or Parquet",
    b"\x80\x05\x95": "a Python pickle: save it as CSV or Parquet",
    b"%PDF": "a PDF document: export the table as CSV (UTF-8)",
    b"{\\rtf": "an RTF document: save the table as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "an Excel workbook (.xls): save the sheet as CSV (UTF-8)",
    b"\x09\x08\x10\x00": "an Excel workbook (.xls): save the sheet as CSV (UTF-8)",
    b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"GIF8": "a picture", b"II*\x00": "a picture",
    b"MM\x00*": "a picture",
}  # fmt: skip
_LATER = (
    (b"ustar", 257, "a tar archive: unpack it first"),
    (b"1AY&SY", 4, "bzip2: unpack it first"),
    (b"WEBP", 8, "a picture"),
)
_ZIPS = (
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet (.ods): save the sheet as CSV (UTF-8)"),
    (b"opendocument", "an OpenDocument file: save the table as CSV (UTF-8)"),
    (b"word/", "a Word document: save the table as CSV (UTF-8)"),
    (b"ppt/", "a presentation: save the table as CSV (UTF-8)"),
    (b"xl/", "an Excel workbook (.xlsx): save the sheet as CSV (UTF-8)"),
    (b"[Content_Types].xml", "an Office document (a spreadsheet?): save the sheet as CSV (UTF-8)"),
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PASSED_OVER = re.compile(
    r"\s*(?:<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|<!doctype\b[^>\[]*(?:\[.*?\]\s*)?>)", re.I | re.S
)
_TAG = re.compile(r"\s*<\s*([a-z_][\w.:-]*)(?:\s[^<>]*)?/?>?", re.I)
_HEADER_OF_TAGS = re.compile(r"\s*<[^<>\n]*>\s*[,;|\t]")  # `<SKU>,<NAME>` names columns
_FEEDS = {"rss": "an RSS feed", "feed": "an Atom feed", "rdf:rdf": "an RDF feed", "urlset": "a sitemap"}
_HTML = {
    *("html", "head", "body", "table", "div", "p", "br", "meta", "title", "style", "script", "span", "form"),
    *("h1", "h2", "h3", "tr", "td", "th", "thead", "tbody", "center", "font", "pre"),
}
_XML = "; a catalogue is read from CSV, JSON or Parquet: export the products as one of these"
_SEPARATOR = re.compile(r"\ufeff?\s*[\"']?sep *= *(\\t|tab|[^\r\n\"'])?[\"']?", re.I)


def mark_of(head: bytes) -> str | None:
    """The encoding that a byte-order mark names."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


def unmarked_utf16(head: bytes) -> str | None:
    """UTF-16 without its mark, by the zero bytes that half of mostly Latin text then is."""
    even, odd = head[::2], head[1::2]
    if len(head) > 3 and odd.count(0) > len(odd) / 2 > 4 * even.count(0):
        return "utf-16-le"
    if len(head) > 3 and even.count(0) > len(even) / 2 > 4 * odd.count(0):
        return "utf-16-be"
    return None


def foreign_format(head: bytes, encoding: str | None = None) -> str | None:
    """What a file that starts so is, where that is no table of text, and what to do about it.

    encoding: of the text, if that is known.
    """
    if head.startswith(b"PK\x03\x04"):
        inside = (what for name, what in _ZIPS if name in head)
        return next(inside, "a ZIP archive (a spreadsheet?): unpack it, or save the sheet as CSV (UTF-8)")
    binary = next((what for sign, what in _BINARY.items() if head.startswith(sign)), None)
    for sign, place, what in _LATER:
        if head[place : place + len(sign)] == sign:
            return what
    return binary or _markup(_text(head[:HEAD], encoding))


def foreign_text(head: bytes, encoding: str | None = None) -> str | None:
    """What a file called CSV is, where its text is JSON."""
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
    name = mark_of(head) or encoding or unmarked_utf16(head) or "utf-8"
    try:
        return head.decode(name, "replace").lstrip("\ufeff\0")
    except (LookupError, UnicodeError):
        return head.decode("latin-1")


def _markup(text: str) -> str | None:
    """XML, HTML and feeds by name; None where the text is none of them."""
    declared = bool(re.match(r"\s*<\?xml\b", text, re.I))
    if re.match(r"\s*<!doctype\s+html\b", text, re.I):
        return f"HTML{_XML}"
    if re.match(r"\s*MIME-Version:", text, re.I) and "multipart/related" in text[:2000]:
        return f"a web archive (MHTML){_XML}"
    excel = declared and 'progid="Excel.Sheet"' in text[:2000]
    passed = False
    while found := _PASSED_OVER.match(text):
        text, passed = text[found.end() :], True
    tag = _TAG.match(text)
    if excel:
        return "an Excel sheet as XML: save it as CSV (UTF-8)"
    if tag is None or (_HEADER_OF_TAGS.match(text) and not declared):
        return f"XML{_XML}" if declared or (passed and not text.strip()) else None
    name = tag[1].lower()
    if name in _FEEDS:
        return f"XML, {_FEEDS[name]}{_XML}"
    return f"HTML{_XML}" if name in _HTML else f"XML{_XML}"


def separator_line(line: str) -> tuple[bool, str | None]:
    """Whether a first line only names the delimiter (`sep=;`, as Excel writes it), and that delimiter."""
    found = _SEPARATOR.match(line)
    if found is None:
        return False, None
    named = {"\\t": "\t", "tab": "\t"}.get((found[1] or "").lower(), found[1])
    return not line[found.end() :].strip(f",;|\t\r\n\"' {named or ''}"), named
