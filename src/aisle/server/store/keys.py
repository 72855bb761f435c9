"""API keys: shown once, kept as hashes, each with a person and a role.

A key is 256 random bits, so one round of SHA-256 hides it as well as a slow hash would.
"""

import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Literal, get_args

import sqlalchemy as sa

from aisle.server.store.database import Store, StoreError, now
from aisle.server.store.tables import keys

Role = Literal["seller", "reviewer", "admin"]
ROLES: tuple[str, ...] = get_args(Role)
_FRESH = 2.0  # seconds until a key that was revoked stops working


@dataclass(frozen=True)
class Holder:
    """Whoever stands behind a key. created, revoked: UTC milliseconds."""

    id: str
    person: str
    role: str
    hash: str = ""
    created: int = 0
    revoked: int | None = None

    def may(self, role: str) -> bool:
        """Whether this role, or one above it, is theirs."""
        return ROLES.index(self.role) >= ROLES.index(role)


def add(store: Store, person: str, role: str) -> str:
    """A new key for a person, which is not kept and cannot be shown again.

    Raises:
        StoreError: no such role, or no name.
    """
    if role not in ROLES:
        raise StoreError(f"role {role!r}: choose {', '.join(ROLES)}")
    if not person.strip() or len(person) > 200:
        raise StoreError("a key needs a person's name, of at most 200 characters")
    name, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    row = {"id": name, "person": person.strip(), "role": role, "hash": _hash(secret), "created": now()}
    with store.begin() as connection:
        connection.execute(keys.insert().values(row))
    return f"aisle_{name}_{secret}"


def revoke(store: Store, name: str) -> int:
    """End the keys of this id or person; how many.

    Raises:
        StoreError: there is none.
    """
    with store.begin() as connection:
        mine = ((keys.c.id == name) | (keys.c.person == name)) & keys.c.revoked.is_(None)
        ended = connection.execute(keys.update().where(mine).values(revoked=now())).rowcount
    if not ended:
        raise StoreError(f"there is no key {name!r} in use; `aisle keys list` shows them")
    return ended


def listed(store: Store) -> list[Holder]:
    """All keys, revoked ones too, the oldest first."""
    with store.read() as connection:
        rows = connection.execute(sa.select(keys).order_by(keys.c.created, keys.c.id))
        return [Holder(**row._mapping) for row in rows]


class KeyRing:
    """Who holds a key, as of at most two seconds ago; still known while the database is away."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._read = 0.0
        self._holders: dict[str, Holder] = {}

    @property
    def stale(self) -> bool:
        """Whether asking now would go to the database."""
        return time.monotonic() - self._read > _FRESH

    def refresh(self) -> None:
        """Read the keys again, if they were not just read."""
        with self._lock:
            if not self.stale:
                return
            try:
                found = listed(self.store)
            except StoreError:
                if not self._read:
                    raise
                return
            self._holders = {holder.id: holder for holder in found if holder.revoked is None}
            self._read = time.monotonic()

    @property
    def empty(self) -> bool:
        """Whether there is no key in use."""
        return not self._holders

    def holder(self, key: str) -> Holder | None:
        """Who holds this key; None: nobody."""
        start, _, rest = key.partition("_")
        name, _, secret = rest.partition("_")
        found = self._holders.get(name) if start == "aisle" else None
        right = hmac.compare_digest(_hash(secret), found.hash if found else _hash(""))
        return found if found and right else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
