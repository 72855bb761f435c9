"""How bytes become text, what is no text, and text without case and accents."""

from aisle.encodings.detect import KEPT, SAMPLE, Encoding, detect
from aisle.encodings.entities import decode_entities
from aisle.encodings.folding import fold_accents
from aisle.encodings.formats import HEAD, document_ending, foreign_format, foreign_text, separator_line

__all__ = [
    "HEAD",
    "KEPT",
    "SAMPLE",
    "Encoding",
    "decode_entities",
    "detect",
    "document_ending",
    "fold_accents",
    "foreign_format",
    "foreign_text",
    "separator_line",
]
