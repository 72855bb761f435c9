"""Addresses whose content is read once: of a web server (`https://…`), or of a database.

A database's address names a table or a query: `postgresql://user@host/shop?table=products`.
"""

import re
from typing import Any
from urllib.parse import urlsplit

_WEB = ("http", "https")
_DATABASES = ("postgresql", "postgres", "mysql", "mariadb", "sqlite", "mssql", "oracle", "duckdb")
_KNOWN = re.compile(rf"({'|'.join((*_WEB, *_DATABASES))})(\+\w+)?://", re.IGNORECASE)
_SECRET = re.compile(r"(?i)((?:pass(?:word|wd)?|pwd|token|key|secret|sig|signature|auth)[\w-]*=)[^&#]*")
_PASSWORD = re.compile(r"(://[^/?#@:]*):[^/?#]*@")


class Address:
    """An address. Its text names no password, no token and no key; `url` does.

    Args:
        url: The address.
    """

    suffix = ""

    def __init__(self, url: str) -> None:
        self.url = url
        self._text = _SECRET.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))

    @property
    def is_database(self) -> bool:
        """Whether it is the address of a database."""
        return self.url.partition(":")[0].partition("+")[0].lower() in _DATABASES

    @property
    def name(self) -> str:
        """The last part of its path, without the query."""
        return urlsplit(self._text).path.rstrip("/").rpartition("/")[2] or str(self)

    @property
    def stem(self) -> str:
        """Its name."""
        return self.name

    def is_dir(self) -> bool:
        """Never."""
        return False

    def exists(self) -> bool:
        """Always, until it is read."""
        return True

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Address({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)


def is_address(source: Any) -> bool:
    """Whether a source is an `Address`, or the text of one."""
    return isinstance(source, Address) or (isinstance(source, str) and _KNOWN.match(source) is not None)


def to_address(source: Any) -> Address:
    """The address that `is_address` recognised."""
    return source if isinstance(source, Address) else Address(source)
