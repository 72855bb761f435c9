"""Records of an XML document, read as a stream: feeds (RSS, Atom, YML) and tables of any other names.

The repeated element of a document is its record. Nested elements become columns `a.b`, attributes of the
record columns of their own name, repeated children lists. The parser is expat: it follows no external
reference; documents that declare entities of entities are refused.
"""

import html.entities
import re
import xml.parsers.expat as expat
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from aisle.data.column_names import rank
from aisle.data.files import IMAGE_ENDINGS
from aisle.data.nested_values import merge_variants
from aisle.data.readers.xml_categories import CategoryList, is_category
from aisle.data.readers.xml_structure import Structure, XmlPath
from aisle.errors import CatalogError

GOOGLE = "http://base.google.com/ns/"
_MAX_RECORD = 64 * 2**20  # characters of a record
_MAX_DEPTH = 200
_MAX_ENTITY = 100  # characters of an entity that a document declares
_HEAD = 8 * 2**20  # characters by which the record element is found
_ILLEGAL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#(?:x0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F])|0*(?:[0-8]|1[124-9]|2\\d|3[01]));"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_KEPT = {0xDC00 + byte: 0x10FF00 + byte for byte in range(256)}  # takes bytes that mean nothing past expat
_RESTORED = {kept: lone for lone, kept in _KEPT.items()}
_LINKS = ("href", "url", "src", "value")  # attributes that are an empty element's value
_INLINE = {"b", "i", "a", "strong", "em", "u", "small", "sup", "sub", "font", "br", "span"}
_BLOCKS = {"p", "ul", "ol", "div", "h1", "h2", "h3"}
_PAIR = re.compile(r"(?:.*[_:])?(?:name|key|label|code)", re.I), re.compile(r"(?:.*[_:])?val(?:ue)?", re.I)
_NOISE = ("xlink:", "xsi:", "xml:")  # prefixes of attributes that say nothing about a product
_VARIANTS = {"variants", "variant", "variations", "variation"}
_SIZE = "view-type"  # attribute of groups of the same images in several sizes


class Element:
    """An element of a record.

    Args:
        name: Its name, with the prefix that its namespace has in Aisle.
        attributes: Its attributes by name.

    Attributes:
        text: The pieces of its own text.
        children: The elements in it.
    """

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: Mapping[str, str]) -> None:
        self.name, self.attributes = name, attributes
        self.text: list[str] = []
        self.children: list[Element] = []


class XmlParser:
    """Feeds text to expat, which calls a handler with names as the document means them.

    Args:
        name: The file, for messages.
        handler: Its `start_element(name, attributes)`, `data(text)` and `end_element(name)` are called; the
            name in `end_element` is that of the tag.
    """

    def __init__(self, name: str, handler: Any) -> None:
        self.name, self.handler = name, handler
        self.prefixes: dict[str, str] = {}
        self._depth = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.UseForeignDTD(True)  # so that `&nbsp;` without a declaration is passed on, not an error
        self.parser.SkippedEntityHandler = self._skipped
        self.parser.EntityDeclHandler = self._declared
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = handler.data

    def feed(self, text: str, final: bool = False) -> None:
        """Parse the next piece of the document.

        Args:
            text: The piece, without characters that XML forbids.
            final: Whether it is the last one.

        Raises:
            CatalogError: The document is not well-formed, or ends in its middle.
        """
        if _SURROGATE.search(text):
            text = _SURROGATE.sub("\ufffd", text.translate(_KEPT))
        try:
            self.parser.Parse(text, final)
        except expat.ExpatError as error:
            raise CatalogError(f"{self.name}: {_explain(error, final)}") from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise CatalogError(f"{self.name}: elements are nested more than {_MAX_DEPTH} deep")
        for key in [key for key in attributes if key.startswith("xmlns")]:
            self.prefixes[key[6:]] = "g" if attributes.pop(key).startswith(GOOGLE) else key[6:]
        self.handler.start_element(self._named(name), attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self.handler.end_element(name)

    def _named(self, name: str) -> str:
        """The name with the usual prefix: `g:` for Google's names whatever a document calls them."""
        prefix, colon, local = name.rpartition(":")
        if not colon and not self.prefixes:
            return name
        prefix = self.prefixes.get(prefix, prefix)
        return f"{prefix}:{local}" if prefix else local

    def _skipped(self, name: str, is_parameter: bool) -> None:
        if not is_parameter:
            self.handler.data(html.entities.html5.get(f"{name};", f"&{name};"))

    def _declared(self, name: str, parameter: bool, value: str | None, *rest: object) -> None:
        if parameter or value is None or "&" in value or len(value) > _MAX_ENTITY:
            raise CatalogError(
                f"{self.name}: the XML declares the entity {name!r}; such documents are not read"
            )


class _Records:
    """Builds the records at one path; `pop` returns those that are complete."""

    def __init__(self, path: XmlPath, name: str) -> None:
        self.path, self.name = path, name
        self._open: list[str] = []
        self._stack: list[Element] = []
        self._inherited: list[dict[str, str]] = []
        self._done: list[dict[str, Any]] = []
        self._size = 0
        self.categories = CategoryList()

    def start_element(self, name: str, attributes: dict[str, str]) -> None:
        """A start tag."""
        self._open.append(name)
        if self._stack or tuple(self._open) == self.path or is_category(self._open, self.path):
            element = Element(name, attributes)
            if self._stack:
                self._stack[-1].children.append(element)
            self._stack.append(element)
            self._add(sum(map(len, attributes.values())) + len(name))
        elif len(self._open) > 1:
            self._inherited.append({f"{name}.{key}": value for key, value in attributes.items()})

    def data(self, text: str) -> None:
        """Characters."""
        if self._stack:
            self._stack[-1].text.append(text)
            self._add(len(text))

    def _add(self, size: int) -> None:
        self._size += size
        if self._size > _MAX_RECORD:
            raise CatalogError(f"{self.name}: a record of more than {_MAX_RECORD:,} characters")

    def end_element(self, _: str) -> None:
        """An end tag."""
        path = tuple(self._open)
        self._open.pop()
        if not self._stack:
            if len(self._open) > 0 and self._inherited:
                self._inherited.pop()
            return
        element = self._stack.pop()
        if self._stack:
            return
        self._size = 0
        if path == self.path:
            inherited = {key: value for part in self._inherited for key, value in part.items()}
            self._done.append(self.categories.with_category(inherited | record(element)))
        else:
            self.categories.add(element)

    def pop(self) -> list[dict[str, Any]]:
        """The complete records, once."""
        records, self._done = self._done, []
        return records


def record(element: Element) -> dict[str, Any]:
    """The columns of one record: its attributes, and its children flattened."""
    fields = _named_fields(element) or _fields(element)
    for key, value in _attributes(element).items():
        fields.setdefault(key, value)
    text = _text(element)
    if text and not element.children:
        fields.setdefault(element.name, text)
    return fields


def _named_fields(element: Element) -> dict[str, Any] | None:
    """The columns of `<row><field name="id">1</field>…</row>`, as databases export; None for others."""
    names = [child.attributes.get("name") for child in element.children]
    kinds = {child.name for child in element.children}
    if len(kinds) != 1 or len(names) < 2 or not all(names) or len(set(names)) < len(names):
        return None
    return {str(name): _text(child) for name, child in zip(names, element.children, strict=True)}


def _fields(element: Element, prefix: str = "") -> dict[str, Any]:
    groups: dict[str, list[Element]] = {}
    for child in element.children:  # WordPress: <category domain="product_cat">, one taxonomy each
        groups.setdefault(child.attributes.get("domain", child.name), []).append(child)
    fields: dict[str, Any] = {}
    for name, children in groups.items():
        column = f"{prefix}{name}"
        variants = _variants(children) if name.casefold() in _VARIANTS else []
        if variants:
            fields |= {f"{column}.{key}": value for key, value in merge_variants(variants).items()}
        elif len(children) > 1:
            fields[column] = _several(children)
        else:
            fields |= _single(children[0], column)
    return fields


def _variants(children: list[Element]) -> list[dict[str, Any]]:
    """The records of the variants of a product; `[]` where the elements are no records."""
    variants: list[Element] = []
    for child in children:
        kinds = {grandchild.name for grandchild in child.children}
        wraps = len(kinds) == 1 and all(grandchild.children for grandchild in child.children)
        variants += child.children if wraps else [child]
    if any(not child.children or _is_markup(child) or _pair(child) for child in variants):
        return []
    return [record(child) for child in variants]


def _single(child: Element, column: str) -> dict[str, Any]:
    """The columns of a child that occurs once."""
    text, pair = _text(child), _pair(child)
    if pair is not None:  # as where there are several
        return {column: dict([pair])}
    if not child.children or _is_markup(child):
        link = "" if text else _link(child)
        attributes = {key: value for key, value in _attributes(child).items() if not link or value != link}
        return {column: text or link} | {f"{column}.{key}": value for key, value in attributes.items()}
    fields: dict[str, Any] = {f"{column}.{key}": value for key, value in _attributes(child).items()}
    if rank("images", child.name) is not None:
        if any(_SIZE in group.attributes for group in child.children):
            return fields | {column: _links_of_first_size(child)}
        if not any(grand.children for grand in child.children):
            return fields | {column: _links_in(child)}
    kinds = {grandchild.name for grandchild in child.children}
    if len(kinds) > 1:
        return fields | _fields(child, f"{column}.")
    if len(child.children) > 1:  # a list: <images><image>…</image><image>…</image></images>
        return fields | {column: _several(child.children)}
    return fields | _single(child.children[0], column)


def _attributes(element: Element) -> dict[str, str]:
    """The attributes that say something about a product; those of a taxonomy of WordPress are its column."""
    if "domain" in element.attributes:
        return {}
    return {key: _restored(value) for key, value in element.attributes.items() if not key.startswith(_NOISE)}


def _link(element: Element) -> str:
    """The attribute that is the value of an empty element, as in `<image url="…"/>`."""
    return next((element.attributes[key] for key in _LINKS if key in element.attributes), "")


def _several(children: list[Element]) -> list[Any] | dict[str, str]:
    """Children of one name: pairs of name and value, texts, or objects."""
    named = [_pair(child) for child in children]
    if all(named):
        pairs: dict[str, str] = {}
        for name, text in filter(None, named):
            pairs[name] = f"{pairs[name]}, {text}" if name in pairs else text
        return pairs
    if all(not child.children or _is_markup(child) for child in children):
        texts = [_text(child) or _link(child) for child in children]
        if any(texts):
            return [text for text in texts if text]
        return [_attributes(child) for child in children if child.attributes]
    return [record(child) if child.children else _text(child) for child in children]


def _is_markup(element: Element) -> bool:
    """Whether an element is text with tags of HTML in it."""
    names = {child.name.rpartition(":")[2].lower() for child in element.children}
    return bool(names & _BLOCKS) or (bool(names & _INLINE) and bool("".join(element.text).strip()))


def _pair(element: Element) -> tuple[str, str] | None:
    """The name and value of `<param name="Color">red</param>`, or of `<param><name/><value/></param>`."""
    if not element.children:
        name = element.attributes.get("name")
        return (name, _text(element)) if name and element.text else None
    if len(element.children) not in (2, 3) or any(child.children for child in element.children):
        return None
    first, second = element.children[-2:]
    if len(element.children) == 3 and not element.children[0].name.endswith("section_name"):
        return None
    if not _PAIR[0].fullmatch(first.name) or not _PAIR[1].fullmatch(second.name):
        return None
    return _text(first), _text(second)


def _links_in(element: Element) -> list[str]:
    """The addresses in an element of images, for any names of its children."""
    links = [] if element.children else [_text(element) or _link(element)]
    return [
        link for link in (*links, *(link for child in element.children for link in _links_in(child))) if link
    ]


def _links_of_first_size(element: Element) -> list[str]:
    """The images of groups (`<image-group view-type="large"><image path="a.jpg"/></image-group>`), in the
    first size."""
    sizes = [group.attributes.get(_SIZE) for group in element.children]
    groups = [group for group in element.children if group.attributes.get(_SIZE) == sizes[0]]
    links = [child.attributes.get("path") or _link(child) for group in groups for child in group.children]
    return list(dict.fromkeys(link for link in links if link and link.endswith(tuple(IMAGE_ENDINGS))))


def _text(element: Element) -> str:
    """The text of an element and, for text with markup, of the elements in it."""
    parts = element.text if not _is_markup(element) else [*element.text, *map(_text, element.children)]
    return _restored("".join(parts).strip())


def _restored(text: str) -> str:
    """Text with the lone surrogates that stand for bytes which cannot be decoded."""
    return text if text.isascii() else text.translate(_RESTORED)


def xml_records(pieces: Iterable[str], name: str) -> Iterator[dict[str, Any]]:
    """The records of a document, one by one.

    Args:
        pieces: The text, piece by piece.
        name: The file, for messages.

    Raises:
        CatalogError: The document is not well-formed, ends in its middle, or holds no records. Records before
            the fault have been yielded by then.
    """
    pieces = iter(pieces)
    path, head = find_record_path(pieces, name)
    records = _Records(path, name)
    parser = XmlParser(name, records)
    while head:
        parser.feed(head.pop(0))
        yield from records.pop()
    for text in pieces:
        parser.feed(_ILLEGAL.sub("", text))
        yield from records.pop()
    parser.feed("", final=True)
    yield from records.pop()


def xml_categories(pieces: Iterable[str], name: str) -> dict[str, tuple[str, ...]]:
    """The categories that a document lists before its records: code -> path of names.

    Args:
        pieces: The text, piece by piece.
        name: The file, for messages.

    Raises:
        CatalogError: As `xml_records`.
    """
    pieces = iter(pieces)
    path, head = find_record_path(pieces, name)
    records = _Records(path, name)
    parser = XmlParser(name, records)
    for text in chain(head, (_ILLEGAL.sub("", text) for text in pieces)):
        parser.feed(text)
        if records.pop() and len(records.categories):
            break
    return records.categories.paths()


def find_record_path(pieces: Iterable[str], name: str) -> tuple[XmlPath, list[str]]:
    """The path of the records of a document.

    Args:
        pieces: The text, piece by piece; as much is taken as is needed.
        name: The file, for messages.

    Returns:
        The path, and the pieces that were taken, without illegal characters.

    Raises:
        CatalogError: As `xml_records`.
    """
    head: list[str] = []
    structure = Structure()
    finder, size = XmlParser(name, structure), 0
    for text in pieces:
        head.append(_ILLEGAL.sub("", text if head else text.lstrip("\ufeff \t\r\n")))
        finder.feed(head[-1])
        size += len(text)
        if structure.is_clear or (size > _HEAD and structure.record_path()):
            break
    else:
        finder.feed("", final=True)
    path = structure.record_path()
    if path is None:
        raise CatalogError(f"{name}: the XML holds no repeated element that could be a product")
    return path, head


def same_length_text(text: str) -> str:
    """Text as expat accepts it, with as many characters: blanks instead of illegal ones."""
    legal = _ILLEGAL.sub(lambda found: " " * len(found[0]), text)
    return _SURROGATE.sub("\ufffd", legal.translate(_KEPT)) if _SURROGATE.search(legal) else legal


def _explain(error: expat.ExpatError, final: bool) -> str:
    """The problem of a document in one line."""
    codes, names = expat.errors.codes, expat.errors
    cut_off = {codes[names.XML_ERROR_NO_ELEMENTS], codes[names.XML_ERROR_UNCLOSED_TOKEN]}
    if final and error.code in cut_off:
        return f"the XML ends in its middle, on line {error.lineno}: the file is cut off"
    hint = ""
    if error.code == codes[names.XML_ERROR_INVALID_TOKEN]:
        hint = " (is an & or < there that should be &amp; or &lt;?)"
    elif error.code == codes[names.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]:
        hint = " (are there two documents in one file?)"
    reason = expat.ErrorString(error.code)
    return f"not well-formed XML: {reason} on line {error.lineno}, column {error.offset + 1}{hint}"
