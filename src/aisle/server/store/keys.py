"""API keys: shown once, kept as hashes, each with a person and a role.

A key is 256 random bits, so one round of SHA-256 hides it as well as a slow hash would.
"""

import hashlib
import hmac
import math
import secrets
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import sqlalchemy as sa

from aisle.server.store.database import Store, StoreError, now
from aisle.server.store.tables import keys

Role = Literal["seller", "reviewer", "admin"]
ROLES: tuple[str, ...] = get_args(Role)
_FRESH = 2.0  # seconds until a key that was revoked stops working
_OLDEST = 600.0  # seconds for which known keys count while the store fails
_PATIENCE = 2.0  # seconds that whoever calls waits for the store
_AGAIN = 1.0  # seconds after which a store that failed is asked again


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


def listed(store: Store, forgotten: bool = False) -> list[Holder]:
    """All keys, revoked ones too, the oldest first. forgotten: also those whose person was forgotten."""
    wanted = sa.select(keys).order_by(keys.c.created, keys.c.id)
    with store.read() as connection:
        rows = connection.execute(wanted if forgotten else wanted.where(keys.c.hash != ""))
        return [Holder(**row._mapping) for row in rows]


def forget(connection: sa.Connection, person: str) -> int:
    """Revoke a person's keys and delete their name and hash; how many. The rows stay: a store that once had
    keys never counts as one without, for which a server asks nobody for a key."""
    ended = sa.func.coalesce(keys.c.revoked, now())
    change = keys.update().where(keys.c.person == person).values(person="", hash="", revoked=ended)
    return connection.execute(change).rowcount


class KeyRing:
    """Who holds a key, as of at most two seconds ago. `ever`: whether there was a key at any time, in use or
    not; it never becomes false again.

    While the store fails, one thread asks it again and again and nobody waits: the keys that were known
    count on, for ten minutes. A key that once was seen revoked never counts again, whatever the store says.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ever = False
        self._lock = threading.Lock()
        self._read: float | None = None  # when it was read at last
        self._holders: dict[str, Holder] = {}
        self._revoked: set[str] = set()
        self._asking: threading.Event | None = None  # set at the first answer, while a thread asks
        self._failed: StoreError | None = None  # why the store did not answer at last
        self._closed = threading.Event()

    @property
    def stale(self) -> bool:
        """Whether asking now would wait for the store, or be refused."""
        return self._age > (_FRESH if self._failed is None else _OLDEST)

    @property
    def _age(self) -> float:
        return math.inf if self._read is None else time.monotonic() - self._read

    def refresh(self) -> None:
        """Read the keys again, if they were not just read; all who ask at one time wait for one reading.

        Raises:
            StoreError: the store does not answer, and what is known is too old.
        """
        if self.stale:
            answered = self._ask()
            if not answered.wait(_PATIENCE):
                self._fail(answered, StoreError("the store does not answer in time"))
        if self._age > _OLDEST:
            raise self._failed or StoreError("the store does not answer: the keys cannot be read")

    def _ask(self) -> threading.Event:
        with self._lock:
            if self._asking is None:
                self._asking = threading.Event()
                reading = partial(self._read_keys, self._asking)
                threading.Thread(target=reading, name="aisle-keys", daemon=True).start()
            return self._asking

    def _read_keys(self, answered: threading.Event) -> None:
        """In a thread, until the store answers."""
        while not self._closed.is_set():
            asked = time.monotonic()
            try:
                found = listed(self.store, forgotten=True)
            except StoreError as error:
                self._fail(answered, error)
                self._closed.wait(_AGAIN)
            else:
                self._take(found, asked)
                break
        answered.set()

    def _fail(self, answered: threading.Event, error: StoreError) -> None:
        """From now on nobody waits for this reading."""
        with self._lock:
            if self._asking is answered:
                self._failed = error
        answered.set()

    def _take(self, found: list[Holder], asked: float) -> None:
        with self._lock:
            self._revoked.update(holder.id for holder in found if holder.revoked is not None)
            self.ever = self.ever or bool(found)
            self._holders = {holder.id: holder for holder in found if holder.id not in self._revoked}
            self._read, self._failed, self._asking = asked, None, None

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()

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
