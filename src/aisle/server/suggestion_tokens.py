"""Tokens that tie suggestions to the product they were made for.

`/v1/suggest`, `/v1/classify` and the review queue return a token. A client that accepts a suggestion sends it
back. If the product's text or images changed meanwhile, the choice is refused, so that nobody confirms a
category that was suggested for another text.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from aisle.server.errors import ApiError


def suggestion_token(fields: Mapping[str, str], images: Sequence[str], first: str) -> str:
    """The token of a product and its first suggestion; whitespace makes no difference.

    Args:
        fields: The product's texts by name.
        images: Identifiers of its images, in order.
        first: The id of the first suggested category.
    """
    texts = {name: " ".join(text.split()) for name, text in fields.items() if text.strip()}
    return content_hash(json.dumps([texts, list(images), first], sort_keys=True).encode())


def check_token(token: str | None, expected: str) -> None:
    """Compare a token that a client sent back; None is not compared.

    Raises:
        ApiError: It belongs to another product or another suggestion.
    """
    if token is not None and token != expected:
        message = "the suggestion was made for another text or another image: ask for new suggestions"
        raise ApiError(409, "stale_suggestion", message)


def content_hash(data: bytes) -> str:
    """A hash of bytes, of 32 hex digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()
