"""Text without case and accents, to compare names."""

import unicodedata


def fold_accents(text: str) -> str:
    """Text without case and accents, decomposed (NFKD): `fold_accents("Chaussées") == "chaussees"`."""
    parts = unicodedata.normalize("NFKD", text).casefold()
    return "".join(mark for mark in parts if not unicodedata.combining(mark))
