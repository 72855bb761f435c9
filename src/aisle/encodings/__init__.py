"""How bytes become text, and what is no text."""

from aisle.encodings.detect import KEPT, SAMPLE, Encoding, detect
from aisle.encodings.entities import decode_entities
from aisle.encodings.formats import HEAD, foreign_format, foreign_text, separator_line

__all__ = [
    "HEAD",
    "KEPT",
    "SAMPLE",
    "Encoding",
    "decode_entities",
    "detect",
    "foreign_format",
    "foreign_text",
    "separator_line",
]
