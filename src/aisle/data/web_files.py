"""Downloads a file from a web server."""

import base64
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from aisle.data.addresses import Address
from aisle.errors import CatalogError

_SECONDS = 60.0  # without a byte
_SAFE = "/%:@!$&'()*+,;=~-._?"
_AGENT = "aisle/0.1"


def download_file(address: Address, out: Path, limit: int | None = None) -> None:
    """Download the content of an `http` or `https` address into a file.

    Args:
        address: The address; a name and password in it (`https://user:password@host/…`) are sent.
        out: The file.
        limit: Bytes of it at most.

    Raises:
        CatalogError: The server does not answer, refuses, ends early, or sends more than `limit` bytes.
    """
    try:
        with (
            urllib.request.urlopen(_request(address.url), timeout=_SECONDS) as answer,
            out.open("wb") as file,
        ):
            expected = answer.headers.get("Content-Length")
            while chunk := answer.read(2**20):
                file.write(chunk)
                if limit is not None and file.tell() > limit:
                    raise CatalogError(f"{address} is longer than {limit:,} bytes: raise --max-expanded")
            if expected is not None and expected.isdecimal() and file.tell() < int(expected):
                raise CatalogError(f"{address}: the server sent {file.tell():,} of {int(expected):,} bytes")
    except urllib.error.HTTPError as error:
        error.close()
        raise CatalogError(f"{address}: the server answered {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise CatalogError(f"{address}: cannot be fetched: {' '.join(str(reason).split())[:160]}") from None


def _request(url: str) -> urllib.request.Request:
    parts = urlsplit(url)
    login, separator, host = parts.netloc.rpartition("@")
    host = host if host.isascii() else host.encode("idna").decode()
    plain = (parts.scheme, host, quote(parts.path, safe=_SAFE), quote(parts.query, safe=_SAFE), "")
    request = urllib.request.Request(urlunsplit(plain), headers={"User-Agent": _AGENT, "Accept": "*/*"})
    if separator:
        token = base64.b64encode(unquote(login).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request
