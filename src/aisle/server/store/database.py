"""One door to SQLite or PostgreSQL: connections, transactions, migrations, and errors of one kind.

SQLite runs in WAL mode with `synchronous=FULL`, so that what was committed survives a kill and a power
cut; every transaction begins as a writer's, so that two never wait for each other in a circle.
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

from aisle.server.problems import ServerError

_MIGRATIONS = Path(__file__).parent / "migrations"
# The system keeps the file's pages already: half a MiB a connection instead of two.
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "cache_size=-512")
_PATIENCE = 10_000  # milliseconds that a writer waits for another


class StoreError(ServerError):
    """The store cannot be reached, is full, damaged, or of another version."""

    public = "the store does not answer"  # what callers are told: addresses are nobody's business


class StoreLostError(StoreError):
    """The store's file was deleted or replaced while it was open: what is written now would be lost."""

    public = "the store's file was deleted or replaced while the server ran; it must be put back, or the "
    public += "server started again"


class Store:
    """The database at an address (`postgresql://…`, `sqlite:///…`) or in the SQLite file at a path.

    Raises:
        StoreError: it cannot be opened, or was written by a newer Aisle.
    """

    def __init__(self, address: str) -> None:
        self.address = _address(address)
        self._files: _Files | None = None
        try:
            self.engine = _engine(self.address)
            self._migrate()
            if self.is_sqlite:
                self._files = _Files(self.engine, self.address)
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
        self._check()
        try:
            with self.engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise StoreError(f"the store does not answer: {_why(error)}") from error
        self._check()  # what went into a file that nobody finds again is not acknowledged

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One view of the database at a moment; never waits for a writer.

        Raises:
            StoreError: the database refuses.
        """
        self._check()
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

    def problem(self) -> StoreError | None:
        """Why the database cannot be asked; None: it can."""
        try:
            with self.read() as connection:
                connection.execute(sa.text("SELECT 1"))
        except StoreError as error:
            return error
        return None

    def _check(self) -> None:
        """Before and after every transaction.

        Raises:
            StoreLostError: the file is not the one that was opened.
        """
        if self._files is not None:
            self._files.check()

    def tidy(self) -> None:
        """Let what was deleted vanish from SQLite's journal, too (PostgreSQL's autovacuum sees to it)."""
        if self.is_sqlite:
            with self.engine.connect().execution_options(mode="bare") as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Let go of all connections."""
        if self._files is not None:
            self._files.close()
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


class _Opener:
    """Connections to a SQLite file. Only the first makes the file: where it was deleted since, a new, empty
    store in its place would be taken for the old one."""

    def __init__(self, path: Path) -> None:
        self._address, self._mode = f"file:{quote(str(path))}", "rwc"

    def __call__(self) -> sqlite3.Connection:
        """One more."""
        opened = sqlite3.connect(
            f"{self._address}?mode={self._mode}", _PATIENCE / 1000, check_same_thread=False, uri=True
        )
        self._mode = "rw"
        return opened


class _Files:
    """SQLite's file and its journals, as they were opened. SQLite goes on writing into a file that was
    deleted or has another in its place, and says nothing. One connection stays open, so that the journals
    are the same for as long as the store is open.
    """

    def __init__(self, engine: sa.Engine, address: sa.URL) -> None:
        path = Path(address.database or "").absolute()
        self._paths = [path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")]
        self._keeper = engine.connect().execution_options(mode="bare")
        self._keeper.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar()
        self._opened = [_inode(file) for file in self._paths]

    def check(self) -> None:
        """Whether they still are those.

        Raises:
            StoreLostError: they are not.
        """
        for file, opened in zip(self._paths, self._opened, strict=True):
            found = _inode(file)
            if opened is not None and found != opened:
                what = "was deleted" if found is None else "was replaced by another file"
                raise StoreLostError(f"{file} {what} while it was open: what is written now would be lost")

    def close(self) -> None:
        """Let go of them."""
        self._keeper.close()


def _inode(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
        options = {"connect_timeout": 5, "tcp_user_timeout": _PATIENCE} | dict(url.query)
        return sa.create_engine(
            url, pool_pre_ping=True, pool_size=5, max_overflow=5, pool_timeout=10, connect_args=options
        )
    if not url.database or url.database == ":memory:":
        raise StoreError("store: a database in memory would lose what it acknowledged; name a file")
    folder = Path(url.database).absolute().parent
    if not folder.is_dir():
        raise StoreError(f"store {url.database}: there is no folder {folder}")
    engine = sa.create_engine(url, creator=_Opener(Path(url.database).absolute()))

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
