"""Names of places as headers give them: `Host`, `Origin`, addresses."""

import ipaddress
import re

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[A-Za-z0-9_~%!$&'*+;=.-]{1,253}")
_PLACE = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[^\[\]:@/?#\s,]+)(?::(?P<port>[0-9]{1,5}))?")
_ORIGIN = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30})://(?P<place>[^/?#\s]{1,300})")


def host_of(text: str) -> tuple[str, int | None] | None:
    """`Shop.example:8000` -> `("shop.example", 8000)`, `[::1]` -> `("::1", None)`; None: it is neither a name
    nor an address."""
    found = _PLACE.fullmatch(text)
    if found is None:
        return None
    name, port = found["name"].lower(), None if found["port"] is None else int(found["port"])
    if port is not None and port > 65535:
        return None
    if name.startswith("["):
        return (str(ipaddress.ip_address(name[1:-1])), port) if is_address(name[1:-1]) else None
    return (name, port) if _NAME.fullmatch(name) else None


def is_origin(text: str) -> bool:
    """Whether this is what browsers send: `null`, or a scheme, a name and a port at most."""
    found = _ORIGIN.fullmatch(text)
    return text == "null" or (found is not None and host_of(found["place"]) is not None)


def same_place(origin: str, host: tuple[str, int | None] | None) -> bool:
    """Whether a page of this origin came from this very host."""
    found = _ORIGIN.fullmatch(origin)
    place = host_of(found["place"]) if found else None
    if found is None or place is None or host is None:
        return False
    usual = _PORTS.get(found["scheme"].lower())
    return (place[0], place[1] or usual) == (host[0], host[1] or usual)


def is_address(text: str) -> bool:
    """Whether this is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
