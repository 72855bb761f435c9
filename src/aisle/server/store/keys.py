"""API keys: shown once, stored as hashes, each with a person and a role.

A key has 256 random bits, so that one round of SHA-256 hides it as well as a slow hash would.
"""

import hashlib
import hmac
import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import sqlalchemy as sa

from aisle.server.store.database import ServerStore, StoreError, now
from aisle.server.store.tables import keys

Role = Literal["seller", "reviewer", "admin"]
ROLES: tuple[str, ...] = get_args(Role)
_FRESH = 2.0  # seconds until a revoked key stops working
_MAX_AGE = 600.0  # seconds for which known keys are valid while the store fails
_MAX_WAIT = 2.0  # seconds that a request waits for the store
_FIRST_WAIT = 15.0  # seconds that a starting server waits for it: no keys are known yet
_RETRY = 1.0  # seconds after which a store that failed is read again


@dataclass(frozen=True)
class ApiKey:
    """A stored key; `created` and `revoked` in UTC milliseconds."""

    id: str
    person: str
    role: str
    hash: str = ""
    created: int = 0
    revoked: int | None = None

    def has_role(self, role: str) -> bool:
        """Whether the key has this role or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)


def add(store: ServerStore, person: str, role: str) -> str:
    """Make a key, which cannot be shown again.

    Raises:
        StoreError: The role is unknown, or the name is empty or too long.
    """
    if role not in ROLES:
        raise StoreError(f"role {role!r}: choose {', '.join(ROLES)}")
    if not person.strip() or len(person) > 200:
        raise StoreError("a key needs a person's name, of at most 200 characters")
    key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    row = {"id": key_id, "person": person.strip(), "role": role, "hash": _hash(secret), "created": now()}
    with store.begin() as connection:
        connection.execute(keys.insert().values(row))
    return f"aisle_{key_id}_{secret}"


def revoke(store: ServerStore, name: str) -> int:
    """Revoke the keys of this id or person.

    Returns:
        How many.

    Raises:
        StoreError: There is none.
    """
    with store.begin() as connection:
        matching = ((keys.c.id == name) | (keys.c.person == name)) & keys.c.revoked.is_(None)
        revoked = connection.execute(keys.update().where(matching).values(revoked=now())).rowcount
    if not revoked:
        raise StoreError(f"there is no key {name!r} in use; `aisle keys list` shows them")
    return revoked


def list_keys(store: ServerStore, forgotten: bool = False) -> list[ApiKey]:
    """All keys, revoked ones too, the oldest first; `forgotten`: also those of forgotten people."""
    query = sa.select(keys).order_by(keys.c.created, keys.c.id)
    with store.read() as connection:
        rows = connection.execute(query if forgotten else query.where(keys.c.hash != ""))
        return [ApiKey(**row._mapping) for row in rows]


def forget(connection: sa.Connection, person: str) -> int:
    """Revoke a person's keys and delete their name and hash. The rows stay: a store that once had keys never
    counts as one without, which would need no key.

    Returns:
        How many.
    """
    revoked = sa.func.coalesce(keys.c.revoked, now())
    change = keys.update().where(keys.c.person == person).values(person="", hash="", revoked=revoked)
    return connection.execute(change).rowcount


class ApiKeyCache:
    """All keys, as of at most two seconds ago.

    While the store fails, one thread reads it again and again and no request waits; the known keys stay valid
    for ten minutes. A key that was once seen revoked never becomes valid again, whatever the store says.

    Attributes:
        ever_used: Whether there was a key at any time; it never becomes false again.
        clock: Seconds, as `time.monotonic`.
    """

    def __init__(self, store: ServerStore, clock: Callable[[], float] = time.monotonic) -> None:
        self.store, self.clock = store, clock
        self.ever_used = False
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self._keys: dict[str, ApiKey] = {}
        self._revoked: set[str] = set()
        self._reading: threading.Event | None = None  # while a thread reads; set after its first attempt
        self._error: StoreError | None = None  # of the last attempt
        self._closed = threading.Event()

    @property
    def stale(self) -> bool:
        """Whether `refresh` would wait or raise."""
        return self._age > (_FRESH if self._error is None else _MAX_AGE)

    @property
    def _age(self) -> float:
        return math.inf if self._read_at is None else self.clock() - self._read_at

    def refresh(self) -> None:
        """Read the keys again, if they were not just read. Requests at the same time wait for one reading.

        Raises:
            StoreError: The store does not respond, and the known keys are too old.
        """
        if self.stale:
            attempted = self._start_reading()
            if not attempted.wait(_FIRST_WAIT if self._read_at is None else _MAX_WAIT):
                self._failed(attempted, StoreError("the store does not answer in time"))
        if self._age > _MAX_AGE:
            raise self._error or StoreError("the store does not answer: the keys cannot be read")

    def reload(self) -> None:
        """Read the keys again after a change by this process.

        Raises:
            StoreError: The store does not respond.
        """
        with self._lock:
            self._read_at = self.clock() - _FRESH - 1 if self._read_at is not None else None
        self.refresh()

    def _start_reading(self) -> threading.Event:
        with self._lock:
            if self._reading is None:
                self._reading = threading.Event()
                read = partial(self._read, self._reading)
                threading.Thread(target=read, name="aisle-keys", daemon=True).start()
            return self._reading

    def _read(self, attempted: threading.Event) -> None:
        """Until the store responds."""
        while not self._closed.is_set():
            start = self.clock()
            try:
                keys = list_keys(self.store, forgotten=True)
            except StoreError as error:
                self._failed(attempted, error)
                self._closed.wait(_RETRY)
            else:
                self._update(keys, start)
                break
        attempted.set()

    def _failed(self, attempted: threading.Event, error: StoreError) -> None:
        with self._lock:
            if self._reading is attempted:
                self._error = error
        attempted.set()

    def _update(self, keys: list[ApiKey], start: float) -> None:
        with self._lock:
            self._revoked.update(key.id for key in keys if key.revoked is not None)
            self.ever_used = self.ever_used or bool(keys)
            self._keys = {key.id: key for key in keys if key.id not in self._revoked}
            self._read_at, self._error, self._reading = start, None, None

    def close(self) -> None:
        """Stop reading."""
        self._closed.set()

    @property
    def empty(self) -> bool:
        """Whether no key is valid."""
        return not self._keys

    def find(self, secret: str) -> ApiKey | None:
        """The valid key of this secret."""
        prefix, _, rest = secret.partition("_")
        key_id, _, random = rest.partition("_")
        key = self._keys.get(key_id) if prefix == "aisle" else None
        right = hmac.compare_digest(_hash(random), key.hash if key else _hash(""))
        return key if key and right else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
