"""How bytes become text, and what is no text."""

from aisle.encodings.detect import KEPT, SAMPLE, Encoding, detect
from aisle.encodings.entities import decode_entities
from aisle.encodings.formats import HEAD, document_ending, foreign_format, foreign_text, separator_line

__all__ = [
    "HEAD",
    "KEPT",
    "SAMPLE",
    "Encoding",
    "decode_entities",
    "detect",
    "document_ending",
    "foreign_format",
    "foreign_text",
    "separator_line",
]
