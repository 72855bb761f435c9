"""Access to SQLite or PostgreSQL: connections, transactions, migrations and errors.

SQLite runs in WAL mode with `synchronous=FULL`, so that a commit survives a kill and a power cut. Its
transactions begin as writers', so that two never deadlock.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.event import listens_for
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from aisle.server.errors import ServerError
from aisle.server.store.tables import metadata

_MIGRATIONS = Path(__file__).parent / "migrations"
# A small cache: half a MiB a connection, since the system caches the file's pages already.
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "cache_size=-512")
_BUSY_TIMEOUT = 10_000  # milliseconds that a writer waits for another


class StoreError(ServerError):
    """The store cannot be reached, is full, damaged, or of another version.

    `public` is the message for clients, which names no address.
    """

    public = "the store does not answer"


class StoreLostError(StoreError):
    """The SQLite file was deleted or replaced while it was open, so that writes would be lost."""

    public = (
        "the store's file was deleted or replaced while the server ran; it must be put back, or the server "
        "started again"
    )


class ServerStore:
    """A database.

    Args:
        address: A URL (`postgresql://…`, `sqlite:///…`) or the path of a SQLite file.

    Raises:
        StoreError: It cannot be opened, or was written by a newer Aisle.
    """

    def __init__(self, address: str) -> None:
        self.address = _parse_address(address)
        self._files: _OpenFiles | None = None
        try:
            self.engine = _engine(self.address)
            self._migrate()
            if self.is_sqlite:
                self._files = _OpenFiles(self.engine, self.address)
        except (SQLAlchemyError, ImportError, OSError) as error:
            raise StoreError(f"store {self.shown}: {_reason(error)}") from error

    @property
    def shown(self) -> str:
        """The address without a password."""
        return self.address.render_as_string(hide_password=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a SQLite file."""
        return self.address.get_backend_name() == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction, which is on disk when the block ends.

        Raises:
            StoreError: The database fails.
        """
        self._check_files()
        try:
            with self.engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise StoreError(f"the store does not answer: {_reason(error)}") from error
        self._check_files()  # else the commit may have gone to a deleted file

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A consistent snapshot, which never waits for a writer.

        Raises:
            StoreError: The database fails.
        """
        self._check_files()
        try:
            with self.engine.connect().execution_options(mode="reading") as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"the store does not answer: {_reason(error)}") from error

    def lock_images(self, connection: sa.Connection, exclusive: bool) -> None:
        """Until the transaction ends, add images while none is swept, or (`exclusive`) sweep while none is
        added. SQLite has one writer at a time anyway."""
        if not self.is_sqlite:
            lock = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
            connection.execute(sa.text(f"SELECT {lock}(41545)"))

    def problem(self) -> StoreError | None:
        """Why the database does not respond; None if it does."""
        try:
            with self.read() as connection:
                connection.execute(sa.text("SELECT 1"))
        except StoreError as error:
            return error
        return None

    def _check_files(self) -> None:
        if self._files is not None:
            self._files.check()

    def purge_deleted(self) -> None:
        """Remove deleted rows from SQLite's journal, too; PostgreSQL's autovacuum does so by itself."""
        if self.is_sqlite:
            with self.engine.connect().execution_options(mode="bare") as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close all connections."""
        if self._files is not None:
            self._files.close()
        self.engine.dispose()

    def _migrate(self) -> None:
        """Create the tables of a new store, or migrate those of an older one."""
        from alembic import command
        from alembic.config import Config
        from alembic.migration import MigrationContext
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with self.engine.begin() as connection:
            if not self.is_sqlite:  # two servers may start at once
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(41544)"))
            config.attributes["connection"] = connection
            try:
                if MigrationContext.configure(connection).get_current_revision() is None:
                    metadata.create_all(connection)
                    command.stamp(config, "head")
                else:
                    command.upgrade(config, "head")
            except CommandError as error:
                reason = "it was written by a newer Aisle; upgrade this one"
                raise StoreError(f"store {self.shown}: {reason} ({error})") from error


class _Connect:
    """Opens connections to a SQLite file, which only the first may create: a new, empty file in the place of
    one that was deleted would be taken for the old one."""

    def __init__(self, path: Path) -> None:
        self._address, self._mode = f"file:{quote(str(path))}", "rwc"

    def __call__(self) -> sqlite3.Connection:
        address, timeout = f"{self._address}?mode={self._mode}", _BUSY_TIMEOUT / 1000
        connection = sqlite3.connect(address, timeout, check_same_thread=False, uri=True)
        self._mode = "rw"
        return connection


class _OpenFiles:
    """The inodes of SQLite's file and journals: SQLite goes on writing into deleted or replaced files.

    One connection stays open, so that the journals stay the same.
    """

    def __init__(self, engine: sa.Engine, address: sa.URL) -> None:
        path = Path(address.database or "").absolute()
        self._paths = [path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")]
        self._connection = engine.connect().execution_options(mode="bare")
        self._connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar()
        self._inodes = [_inode(file) for file in self._paths]

    def check(self) -> None:
        """Compare the files with those that were opened.

        Raises:
            StoreLostError: One was deleted or replaced.
        """
        for file, inode in zip(self._paths, self._inodes, strict=True):
            current = _inode(file)
            if inode is not None and current != inode:
                change = "was deleted" if current is None else "was replaced by another file"
                raise StoreLostError(f"{file} {change} while it was open: what is written now would be lost")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _inode(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def now() -> int:
    """UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _parse_address(address: str) -> sa.URL:
    try:
        url = sa.make_url(address) if "://" in address else sa.URL.create("sqlite", database=address)
    except (ArgumentError, ValueError) as error:
        message = f"store {address!r}: neither a path nor an address such as postgresql://…"
        raise StoreError(message) from error
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"store {url.drivername}://…: SQLite and PostgreSQL are known")
    return url


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        options = {"connect_timeout": 5, "tcp_user_timeout": _BUSY_TIMEOUT} | dict(url.query)
        return sa.create_engine(
            url, pool_pre_ping=True, pool_size=5, max_overflow=5, pool_timeout=10, connect_args=options
        )
    if not url.database or url.database == ":memory:":
        raise StoreError("store: a database in memory would lose what it acknowledged; name a file")
    folder = Path(url.database).absolute().parent
    if not folder.is_dir():
        raise StoreError(f"store {url.database}: there is no folder {folder}")
    engine = sa.create_engine(url, creator=_Connect(Path(url.database).absolute()))

    @listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where `_begin` says
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        mode = connection.get_execution_options().get("mode")
        if mode != "bare":
            connection.exec_driver_sql("BEGIN" if mode == "reading" else "BEGIN IMMEDIATE")

    return engine


def _reason(error: BaseException) -> str:
    if isinstance(error, NoSuchModuleError | ImportError):
        return "its driver is not installed: pip install 'aisle[serve]'"
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    return text[:200] or type(error).__name__
