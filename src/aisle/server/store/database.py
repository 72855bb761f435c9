"""One door to SQLite or PostgreSQL: connections, transactions, migrations, and errors of one kind.

SQLite runs in WAL mode with `synchronous=FULL`, so that what was committed survives a kill and a power
cut; every transaction begins as a writer's, so that two never wait for each other in a circle.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.event import listens_for
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from aisle.server.problems import ServerError

_MIGRATIONS = Path(__file__).parent / "migrations"
# The system keeps the file's pages already: half a MiB a connection instead of two.
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "cache_size=-512")
_PATIENCE = 10_000  # milliseconds that a writer waits for another


class StoreError(ServerError):
    """The store cannot be reached, is full, damaged, or of another version."""


class Store:
    """The database at an address (`postgresql://…`, `sqlite:///…`) or in the SQLite file at a path.

    Raises:
        StoreError: it cannot be opened, or was written by a newer Aisle.
    """

    def __init__(self, address: str) -> None:
        self.address = _address(address)
        try:
            self.engine = _engine(self.address)
            self._migrate()
        except (SQLAlchemyError, ImportError, OSError) as error:
            raise StoreError(f"store {self.shown}: {_why(error)}") from error

    @property
    def shown(self) -> str:
        """Where it is, without a password."""
        return self.address.render_as_string(hide_password=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is one file."""
        return self.address.get_backend_name() == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """One transaction: all of it is on disk when the block ends, or none of it.

        Raises:
            StoreError: the database refuses.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise StoreError(f"the store does not answer: {_why(error)}") from error

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One view of the database at a moment; never waits for a writer.

        Raises:
            StoreError: the database refuses.
        """
        try:
            with self.engine.connect().execution_options(mode="reading") as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"the store does not answer: {_why(error)}") from error

    def lock_images(self, connection: sa.Connection, alone: bool) -> None:
        """Until the transaction ends, keep images while none is swept, or (`alone`) sweep while none is kept.
        SQLite has one writer at a time anyway."""
        if not self.is_sqlite:
            lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
            connection.execute(sa.text(f"SELECT {lock}(41545)"))

    def answers(self) -> bool:
        """Whether the database can be asked."""
        try:
            with self.read() as connection:
                connection.execute(sa.text("SELECT 1"))
            return True
        except StoreError:
            return False

    def tidy(self) -> None:
        """Let what was deleted vanish from SQLite's journal, too (PostgreSQL's autovacuum sees to it)."""
        if self.is_sqlite:
            with self.engine.connect().execution_options(mode="bare") as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def _migrate(self) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with self.engine.begin() as connection:
            if not self.is_sqlite:  # two servers that start at once
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(41544)"))
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                why = "it was written by a newer Aisle; upgrade this one"
                raise StoreError(f"store {self.shown}: {why} ({error})") from error


def now() -> int:
    """UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _address(address: str) -> sa.URL:
    try:
        url = sa.make_url(address) if "://" in address else sa.URL.create("sqlite", database=address)
    except (ArgumentError, ValueError) as error:
        raise StoreError(
            f"store {address!r}: neither a path nor an address such as postgresql://…"
        ) from error
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"store {url.drivername}://…: SQLite and PostgreSQL are known")
    return url


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True, pool_size=5, max_overflow=5, pool_timeout=10)
    if not url.database or url.database == ":memory:":
        raise StoreError("store: a database in memory would lose what it acknowledged; name a file")
    folder = Path(url.database).absolute().parent
    if not folder.is_dir():
        raise StoreError(f"store {url.database}: there is no folder {folder}")
    engine = sa.create_engine(url, connect_args={"timeout": _PATIENCE / 1000, "check_same_thread": False})

    @listens_for(engine, "connect")
    def _opened(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @listens_for(engine, "begin")
    def _begun(connection: sa.Connection) -> None:
        mode = connection.get_execution_options().get("mode")
        if mode != "bare":
            connection.exec_driver_sql("BEGIN" if mode == "reading" else "BEGIN IMMEDIATE")

    return engine


def _why(error: BaseException) -> str:
    if isinstance(error, NoSuchModuleError | ImportError):
        return "its driver is not installed: pip install 'aisle[serve]'"
    said = str(getattr(error, "orig", None) or error)
    return " ".join(said.split())[:200] or type(error).__name__
