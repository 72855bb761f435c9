"""Downloads one image from an untrusted URL.

A URL in a catalog is requested from inside the shop's network. Therefore only http and https are allowed, all
addresses of a host must be public, the connection goes to the address that was checked, again at every
redirect, and size, type and time are limited.
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

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
AGENT = "aisle-images/0.1 (catalog images)"
_REDIRECTS = 5
_CHUNK = 64 * 1024
_RETRY = {408, 425, 429, 500, 502, 503, 504}
# The allocated global addresses; Python counts some others (`fec0::/10`, `::/96`) as global.
_GLOBAL6 = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # IETF protocols; credentials of Oracle's cloud
            "168.63.129.16/32",  # Azure's platform, reachable from each machine
            "192.88.99.0/24",  # 6to4 relays, deprecated
            "3fff::/20",  # documentation
            "5f00::/16",  # segment routing
        ),
    )
)
# Prefixes after which the last 32 bits are an IPv4 address: mapped, compatible, translated, NAT64.
_WITH_IPV4 = tuple(
    map(ipaddress.ip_network, ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"))
)
# Addresses other than link-local ones at which clouds serve credentials.
_METADATA_ADDRESSES = set(
    map(ipaddress.ip_address, ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"))
)
_ISATAP = {0x00005EFE, 0x02005EFE}  # the 32 bits before an IPv4 address, after any prefix


class FetchLimits(NamedTuple):
    """Limits of one download.

    Attributes:
        max_bytes: Bytes of the image.
        seconds: Time for the whole download.
        private: Whether all addresses that are not public are allowed.
        networks: Networks that are allowed although not public, such as that of a shop's own image server.
    """

    max_bytes: int = 20 * 2**20
    seconds: float = 30.0
    private: bool = False
    networks: tuple[Network, ...] = ()

    def allows(self, address: str) -> bool:
        """Whether an IP address may be requested."""
        ip = ipaddress.ip_address(address.split("%")[0])
        return self.private or is_public(address) or any(ip in network for network in self.networks)


class FetchError(CatalogError):
    """An image that could not be downloaded. `wait`: seconds until a retry; None: no retry."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class PrivateAddressError(FetchError):
    """An address that is not public, where private addresses are not allowed."""


class Fetched(NamedTuple):
    """The bytes of an image, and the ending of its format, without the dot."""

    data: bytes
    ending: str


_USUAL = FetchLimits()


def fetch(url: str, limits: FetchLimits = _USUAL) -> Fetched:
    """Download an image.

    Raises:
        FetchError: The URL is refused, or the image is missing, too large, too slow, or cannot be decoded.
    """
    deadline = time.monotonic() + limits.seconds
    address = "https:" + url if url.startswith("//") else url
    try:
        for _ in range(_REDIRECTS + 1):
            response = _request(address, limits, deadline)
            if isinstance(response, bytes):
                return _check_image(response)
            address = urljoin(address, response)
    except (OSError, http.client.HTTPException, ValueError) as error:  # ssl and timeout errors are OSErrors
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise FetchError(f"cannot be fetched: {reason}", wait=2.0) from error
    raise FetchError(f"more than {_REDIRECTS} redirects")


def _request(url: str, limits: FetchLimits, deadline: float) -> bytes | str:
    """The body, or the location of a redirect."""
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise FetchError("only http and https addresses are fetched")
    with _connect(parts, limits, deadline) as connection:
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
            location = response.getheader("Location")
            if response.status in (301, 302, 303, 307, 308) and location:
                return location
            if response.status != 200:
                wait = (
                    _retry_seconds(response.getheader("Retry-After")) if response.status in _RETRY else None
                )
                raise FetchError(f"the server answered {response.status} {response.reason}", wait)
            return _body(response, limits, deadline)


@contextmanager
def _connect(
    parts: SplitResult, limits: FetchLimits, deadline: float
) -> Iterator[http.client.HTTPConnection]:
    """A connection to the address that was checked, closed at the deadline."""
    host = parts.hostname or ""
    secure = parts.scheme.lower() == "https"
    port = parts.port or (443 if secure else 80)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
    if any(map(_is_metadata_address, addresses)):
        raise PrivateAddressError(
            f"{host} is a private address ({addresses[0]}), of the machine's own network: never fetched"
        )
    if not all(map(limits.allows, addresses)):
        raise PrivateAddressError(f"{host} is a private address ({addresses[0]}); --allow-private fetches it")
    connection = http.client.HTTPConnection(host, port)
    connection.sock = socket.create_connection((addresses[0], port), timeout=_remaining(deadline))
    sockets = [connection.sock]  # the connection drops its socket when a response starts
    timer = threading.Timer(_remaining(deadline), _shutdown, [sockets])
    timer.daemon = True
    timer.start()
    try:
        if secure:
            context = ssl.create_default_context()
            connection.sock = context.wrap_socket(
                connection.sock, server_hostname=host, do_handshake_on_connect=False
            )
            sockets.append(connection.sock)
            connection.sock.do_handshake()
        yield connection
    except (OSError, http.client.HTTPException):
        _remaining(deadline)  # raises if the deadline passed
        raise
    finally:
        timer.cancel()
        connection.close()
        sockets[-1].close()


def _shutdown(sockets: list[socket.socket]) -> None:
    with suppress(OSError):
        sockets[-1].shutdown(socket.SHUT_RDWR)


def is_public(address: str) -> bool:
    """Whether an IP address and all addresses embedded in it are public."""
    return all(map(_is_public, _reachable(address)))


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if ip.version == 6 and ip not in _GLOBAL6:
        return False
    reserved = any(ip.version == net.version and ip in net for net in _NOT_PUBLIC)
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not reserved


def _is_metadata_address(address: str) -> bool:
    """Whether clouds serve credentials at an address."""
    return any(ip.is_link_local or ip in _METADATA_ADDRESSES for ip in _reachable(address))


def _reachable(address: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The addresses that a packet may reach: those embedded in the address, or itself."""
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
        _remaining(deadline)
        chunks.append(chunk)
    _remaining(deadline)  # raises if the deadline ended the response
    if size.isdigit() and total < int(size):
        raise FetchError("the connection broke off", wait=2.0)
    return b"".join(chunks)


def _check_image(data: bytes) -> Fetched:
    try:
        decode(ImageRef(data=data), 32)
    except ImageError as error:
        raise FetchError(str(error)) from error
    return Fetched(data, _ending(data))


def _ending(data: bytes) -> str:
    magic = {
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
    return next((suffix for sign, suffix in magic.items() if data.startswith(sign)), "img")


def _remaining(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise FetchError("took too long", wait=2.0)
    return seconds


def _retry_seconds(retry_after: str | None) -> float:
    """Seconds that the server asks to wait; 10 for a date."""
    if retry_after is None:
        return 2.0
    return float(retry_after) if retry_after.isdigit() else 10.0
