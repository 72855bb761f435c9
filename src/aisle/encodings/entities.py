"""Text that was escaped for HTML on its way into a table."""

import html
import re

_ENTITY = re.compile(r"&(?:[a-zA-Z][a-zA-Z0-9]{1,31}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")


def decode_entities(text: str) -> str:
    """A name without HTML entities, however often they were escaped (`&amp;gt;` is `>`)."""
    for _ in range(4):
        if "&" not in text:
            return text
        once = _ENTITY.sub(lambda found: html.unescape(found[0]).replace("\xa0", " "), text)
        if once == text:
            return text
        text = once
    return text
