"""Stop words: articles, prepositions, pronouns, conjunctions, auxiliaries.

`stop_words.toml` holds function words only. Published lists (stop-words, stopwords-iso) also hold words that
name products: "ring", "keys", "tv" and "computer" are in them.
"""

import re
import tomllib
from pathlib import Path

_LISTS = tomllib.loads(Path(__file__).with_name("stop_words.toml").read_text("utf-8"))
STOP_WORDS = frozenset(word for words in _LISTS.values() for word in words.split())
_LETTERS = re.compile(r"[^\W\d_]+")


def is_content_word(text: str) -> bool:
    """Whether a text has a word with letters that is no stop word."""
    return any(part not in STOP_WORDS for part in _LETTERS.findall(text.casefold()))
