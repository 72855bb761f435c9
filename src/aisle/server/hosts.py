"""Parsing of `Host`, `Origin` and IP addresses in headers."""

import ipaddress
import re

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[A-Za-z0-9_~%!$&'*+;=.-]{1,253}")
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[^\[\]:@/?#\s,]+)(?::(?P<port>[0-9]{1,5}))?")
_ORIGIN = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30})://(?P<host>[^/?#\s]{1,300})")

Host = tuple[str, int | None]


def parse_host(text: str) -> Host | None:
    """`Shop.example:8000` -> `("shop.example", 8000)`, `[::1]` -> `("::1", None)`; None if malformed."""
    match = _HOST.fullmatch(text)
    if match is None:
        return None
    name, port = match["name"].lower(), None if match["port"] is None else int(match["port"])
    if port is not None and port > 65535:
        return None
    if name.startswith("["):
        return (str(ipaddress.ip_address(name[1:-1])), port) if is_address(name[1:-1]) else None
    return (name, port) if _NAME.fullmatch(name) else None


def is_origin(text: str) -> bool:
    """Whether `text` is an origin as browsers send it: `null`, or a scheme, a host and at most a port."""
    match = _ORIGIN.fullmatch(text)
    return text == "null" or (match is not None and parse_host(match["host"]) is not None)


def same_origin(origin: str, host: Host | None) -> bool:
    """Whether a page of this origin was served by this host and port."""
    match = _ORIGIN.fullmatch(origin)
    other = parse_host(match["host"]) if match else None
    if match is None or other is None or host is None:
        return False
    default = _PORTS.get(match["scheme"].lower())
    return (other[0], other[1] or default) == (host[0], host[1] or default)


def is_address(text: str) -> bool:
    """Whether `text` is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
