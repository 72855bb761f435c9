"""One image from an address on the web, whoever wrote that address.

An address in a catalog is a request made from inside the shop's network, so: only http and https;
every host is resolved here, each of its addresses must be public, and the connection goes to the very
address that was checked, at every redirect anew; size, type and time are bounded.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from aisle.data.images import ImageError, decode
from aisle.data.product import ImageRef
from aisle.errors import CatalogError

AGENT = "aisle-images/0.1 (catalog images)"
_REDIRECTS = 5
_CHUNK = 64 * 1024
_RETRY = {408, 425, 429, 500, 502, 503, 504}
# All that is given out on the internet; Python counts some of the rest (`fec0::/10`, `::/96`) as global.
_GLOBAL6 = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # protocols' own; Oracle's cloud has its credentials there
            "168.63.129.16/32",  # Azure's own, inside each of its machines
            "192.88.99.0/24",  # relays of 6to4, given up
            "3fff::/20",  # documentation
            "5f00::/16",  # segment routing
        ),
    )
)
# Prefixes after which the last 32 bits are an IPv4 address: mapped, compatible, translated, NAT64.
_WITH_IPV4 = tuple(
    map(ipaddress.ip_network, ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"))
)
# Where clouds hand their machines credentials, beside the addresses of the link itself.
_OF_CLOUDS = set(
    map(ipaddress.ip_address, ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"))
)
_ISATAP = {0x00005EFE, 0x02005EFE}  # the 32 bits before an IPv4 address, after any prefix


class FetchLimits(NamedTuple):
    """What one fetch may cost. seconds: for the whole of it. private: also addresses that are not public
    (a shop's own image server)."""

    max_bytes: int = 20 * 2**20
    seconds: float = 30.0
    private: bool = False


class FetchError(CatalogError):
    """An image that could not be fetched. `wait`: seconds until it is worth trying again; None: never."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class PrivateAddressError(FetchError):
    """An address that is not public, and private ones are not fetched."""


class Fetched(NamedTuple):
    """An image's bytes and its format's usual ending, without the dot."""

    data: bytes
    ending: str


_USUAL = FetchLimits()


def fetch(url: str, limits: FetchLimits = _USUAL) -> Fetched:
    """The image at this address, decodable or not at all.

    Raises:
        FetchError: refused, not there, too large, too slow, or no image.
    """
    deadline = time.monotonic() + limits.seconds
    address = "https:" + url if url.startswith("//") else url
    try:
        for _ in range(_REDIRECTS + 1):
            answer = _request(address, limits, deadline)
            if isinstance(answer, bytes):
                return _as_image(answer)
            address = urljoin(address, answer)
    except (OSError, http.client.HTTPException, ValueError) as error:  # ssl and timeout errors are OSErrors
        why = " ".join(str(error).split())[:120] or type(error).__name__
        raise FetchError(f"cannot be fetched: {why}", wait=2.0) from error
    raise FetchError(f"more than {_REDIRECTS} redirects")


def _request(url: str, limits: FetchLimits, deadline: float) -> bytes | str:
    """The body, or where the answer redirects to."""
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise FetchError("only http and https addresses are fetched")
    with _connected(parts, limits, deadline) as connection:
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?") if parts.query else ""
        host = parts.hostname.encode("idna").decode() if not parts.hostname.isascii() else parts.hostname
        host = f"[{host}]" if ":" in host else host
        headers = {
            "Host": f"{host}:{parts.port}" if parts.port else host,
            "User-Agent": AGENT,
            "Accept": "image/*",
            "Accept-Encoding": "identity",
        }
        connection.request("GET", path + query, headers=headers)
        with connection.getresponse() as response:
            place = response.getheader("Location")
            if response.status in (301, 302, 303, 307, 308) and place:
                return place
            if response.status != 200:
                wait = _seconds(response.getheader("Retry-After")) if response.status in _RETRY else None
                raise FetchError(f"the server answered {response.status} {response.reason}", wait)
            return _body(response, limits, deadline)


@contextmanager
def _connected(
    parts: SplitResult, limits: FetchLimits, deadline: float
) -> Iterator[http.client.HTTPConnection]:
    """A connection to an address that was checked, not to whatever the name means a moment later; cut
    at the deadline, however slowly the server drips."""
    host = parts.hostname or ""
    secure = parts.scheme.lower() == "https"
    port = parts.port or (443 if secure else 80)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
    if any(map(_serves_the_machine, addresses)):
        raise PrivateAddressError(
            f"{host} is a private address ({addresses[0]}), of the machine's own network: never fetched"
        )
    if not limits.private and not all(map(is_public, addresses)):
        raise PrivateAddressError(f"{host} is a private address ({addresses[0]}); --allow-private fetches it")
    connection = http.client.HTTPConnection(host, port)
    connection.sock = socket.create_connection((addresses[0], port), timeout=_left(deadline))
    opened = [connection.sock]  # the connection lets go of its socket once an answer is under way
    timer = threading.Timer(_left(deadline), _cut, [opened])
    timer.daemon = True
    timer.start()
    try:
        if secure:
            context = ssl.create_default_context()
            connection.sock = context.wrap_socket(
                connection.sock, server_hostname=host, do_handshake_on_connect=False
            )
            opened.append(connection.sock)
            connection.sock.do_handshake()
        yield connection
    except (OSError, http.client.HTTPException):
        _left(deadline)  # cut, rather than broken
        raise
    finally:
        timer.cancel()
        connection.close()
        opened[-1].close()


def _cut(opened: list[socket.socket]) -> None:
    with suppress(OSError):
        opened[-1].shutdown(socket.SHUT_RDWR)


def is_public(address: str) -> bool:
    """Whether an IP address is one on the internet, and so is every address wrapped in it."""
    return all(map(_is_public, _meant(address)))


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if ip.version == 6 and ip not in _GLOBAL6:
        return False
    known = any(ip.version == net.version and ip in net for net in _NOT_PUBLIC)
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not known


def _serves_the_machine(address: str) -> bool:
    """Where clouds hand their machines credentials: no shop keeps images there."""
    return any(ip.is_link_local or ip in _OF_CLOUDS for ip in _meant(address))


def _meant(address: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The addresses that a packet to this one may reach: those wrapped in it, or itself."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    low = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if any(ip in net for net in _WITH_IPV4) and int(ip) > 1:  # not :: and ::1
        return [low]
    if ip.sixtofour:
        return [ip.sixtofour]
    if ip.teredo:
        return list(ip.teredo)
    return [ip, low] if (int(ip) >> 32) & 0xFFFFFFFF in _ISATAP else [ip]


def _body(response: http.client.HTTPResponse, limits: FetchLimits, deadline: float) -> bytes:
    kind = (response.getheader("Content-Type") or "").split(";")[0].strip().lower()
    if (
        kind
        and not kind.startswith("image/")
        and kind not in ("application/octet-stream", "binary/octet-stream")
    ):
        raise FetchError(f"the server sent {kind}, not an image")
    size = response.getheader("Content-Length") or ""
    if size.isdigit() and int(size) > limits.max_bytes:
        raise FetchError(f"larger than {limits.max_bytes:,} bytes")
    chunks, total = [], 0
    while chunk := response.read1(_CHUNK):
        total += len(chunk)
        if total > limits.max_bytes:
            raise FetchError(f"larger than {limits.max_bytes:,} bytes")
        _left(deadline)
        chunks.append(chunk)
    _left(deadline)  # an end that the deadline made is no end
    if size.isdigit() and total < int(size):
        raise FetchError("the connection broke off", wait=2.0)
    return b"".join(chunks)


def _as_image(data: bytes) -> Fetched:
    try:
        decode(ImageRef(data=data), 32)
    except ImageError as error:
        raise FetchError(str(error)) from error
    return Fetched(data, _ending(data))


def _ending(data: bytes) -> str:
    signs = {
        b"\xff\xd8": "jpg",
        b"\x89PNG": "png",
        b"GIF8": "gif",
        b"BM": "bmp",
        b"II*\0": "tif",
        b"MM\0*": "tif",
    }
    if data[:4] == b"RIFF":
        return "webp"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "avif"
    return next((ending for sign, ending in signs.items() if data.startswith(sign)), "img")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise FetchError("took too long", wait=2.0)
    return left


def _seconds(retry_after: str | None) -> float:
    """How long the server asks to wait (a date counts as a while)."""
    if retry_after is None:
        return 2.0
    return float(retry_after) if retry_after.isdigit() else 10.0
