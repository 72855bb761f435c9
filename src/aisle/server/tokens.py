"""Tokens that tie suggestions to the product they were made for.

`/v1/suggest`, `/v1/classify` and the review queue answer with a token. Whoever accepts a suggestion sends it
back, and the server refuses it where the product is another one by then: a person who types on while an
answer is under way, or a reviewer whose item was sent again, never confirms a category that was meant for
another text.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from aisle.server.problems import ApiError

_SIZE = 16  # bytes of a hash


def token(fields: Mapping[str, str], pictures: Sequence[str], first: str) -> str:
    """Of a product's texts and pictures, and of the first category that is suggested for it. Spaces around
    and between words make no difference."""
    texts = {name: " ".join(text.split()) for name, text in fields.items() if text.strip()}
    content = json.dumps([texts, list(pictures), first], sort_keys=True)
    return content_hash(content.encode())


def check(given: str | None, expected: str) -> None:
    """A token that was sent back; none says nothing.

    Raises:
        ApiError: it belongs to another product, or to other suggestions.
    """
    if given is not None and given != expected:
        message = "the suggestion was made for another text or another picture: ask for new suggestions"
        raise ApiError(409, "stale_suggestion", message)


def content_hash(data: bytes) -> str:
    """Of a picture's bytes."""
    return hashlib.blake2b(data, digest_size=_SIZE).hexdigest()
