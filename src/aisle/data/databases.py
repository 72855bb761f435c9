"""Copies a table or the result of a query from a database to a Parquet file, as a stream."""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus, urlsplit

import pyarrow as pa
from pyarrow.parquet import ParquetWriter, write_table

from aisle.data.addresses import Address
from aisle.data.json_tables import as_text, rows_to_batches
from aisle.data.problems import Problems
from aisle.errors import CatalogError, did_you_mean, extra

_ROWS = 1000  # fetched at once
_DRIVERS = {
    **{"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"},
    **{"mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"},
}
_SHOWN = 8  # tables that a message names


def copy_query(address: Address, out: Path) -> None:
    """Write the rows of a table or query to a Parquet file.

    The query runs once, in a read-only transaction, with a cursor on the server where the database has
    them. A query that ran twice could give its rows in another order.

    Args:
        address: `postgresql://user@host/shop?table=products`, or `?products`, or `?query=SELECT …`; also
            `sqlite:///shop.db`, and any database that SQLAlchemy knows. `?table=schema.products` names a
            schema.
        out: The file.

    Raises:
        CatalogError: The address names no table, the database cannot be reached, or it refuses.
        MissingExtraError: SQLAlchemy or the database's driver is not installed.
    """
    sa: Any = extra("sqlalchemy", "sql", str(address))
    try:
        engine, table, query = _engine(sa, address)
        try:
            with engine.connect() as connection:
                statement = _statement(sa, connection, address, table, query)
                _write(_rows(connection.execution_options(stream_results=True), statement), out)
        finally:
            engine.dispose()
    except ModuleNotFoundError as error:
        raise CatalogError(f"{address}: the database's driver {error.name} is not installed") from None
    except (sa.exc.SQLAlchemyError, sqlite3.Error, ValueError) as error:
        raise CatalogError(f"{address}: {_reason(error, address)}") from None


def _engine(sa: Any, address: Address) -> tuple[Any, str | None, str | None]:
    """The database, and the table or query that the address names."""
    url = sa.make_url(address.url)
    query_options = {key: url.query.get(key) for key in ("table", "query")}
    url = url.difference_update_query(query_options)
    options: dict[str, Any] = {}
    if url.get_backend_name() == "sqlite":
        if not url.database or not Path(url.database).is_file():
            raise CatalogError(f"{address}: no such file")
        target = f"file:{quote(str(Path(url.database).absolute()))}?mode=ro"
        options["creator"] = lambda: sqlite3.connect(target, uri=True)
    elif url.drivername.lower() in ("postgres", "postgresql"):
        url = url.update_query_dict({"connect_timeout": url.query.get("connect_timeout", "15")})
    url = url.set(drivername=_DRIVERS.get(url.drivername.lower(), url.drivername))
    table, query = (value if isinstance(value, str) else None for value in query_options.values())
    if not table and not query:
        table = _bare_name(address.url)
    return sa.create_engine(url, poolclass=sa.pool.NullPool, **options), table, query


def _bare_name(url: str) -> str | None:
    """The table of `…?products`; None where every part of the query has a value."""
    parts = urlsplit(url).query.split("&")
    return next((unquote_plus(part) for part in parts if part and "=" not in part), None)


def _statement(sa: Any, connection: Any, address: Address, table: str | None, query: str | None) -> Any:
    """The statement to execute.

    Raises:
        CatalogError: There is no such table, or none is named.
    """
    if connection.dialect.name == "postgresql":
        connection.execution_options(postgresql_readonly=True)
    if query:
        return query
    inspector = sa.inspect(connection)
    names = [*inspector.get_table_names(), *inspector.get_view_names()]
    if not table:
        raise CatalogError(
            f"{address}: name a table, ?table=NAME, or ?query=SELECT …; it has {_shown(names)}"
        )
    schema, _, name = table.rpartition(".")
    if table not in names and not inspector.has_table(name, schema=schema or None):
        views = inspector.get_view_names(schema=schema or None)
        if name not in views:
            suggestion = did_you_mean(table, names)
            raise CatalogError(
                f"{address}: no table is called {table!r}; it has {_shown(names)}.{suggestion}"
            )
    selected = sa.table(table) if table in names else sa.table(name, schema=schema or None)
    return sa.select(sa.text("*")).select_from(selected)


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(sorted(names)[:_SHOWN]) or "no table") + more


def _rows(connection: Any, statement: Any) -> Iterator[Mapping[str, Any]]:
    """The rows by column name; of two columns with one name, the second gets a number."""
    if isinstance(statement, str):  # as it is: neither `:` nor `%` has a meaning
        result = connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    else:
        result = connection.execute(statement)
    if not result.returns_rows:
        raise ValueError("the query returns no rows: it must be a SELECT")
    names: list[str] = []
    for name in result.keys():  # noqa: SIM118 - not a mapping
        names.append(name if name not in names else f"{name}_{sum(n.startswith(name) for n in names) + 1}")
    yield dict.fromkeys(names)  # so that a table without rows has its columns
    for row in result.yield_per(_ROWS):
        yield dict(zip(names, row, strict=True))


def _write(rows: Iterator[Mapping[str, Any]], out: Path) -> None:
    """Write rows; a column of bytes stays one, all others are text."""
    first = next(rows)
    batches = rows_to_batches(rows, Problems(), 1)
    head = next(batches, None)
    if head is None:
        write_table(pa.table({name: pa.array([], pa.string()) for name in first}), out)
        return
    with ParquetWriter(out, head.schema, compression="zstd") as writer:
        writer.write_batch(head)
        for batch in batches:
            columns = [
                _cast(column, field.type) for column, field in zip(batch.columns, head.schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=head.schema))


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column as in the first batch, where it may have been blank."""
    if column.type == kind:
        return column
    if column.null_count == len(column):
        return pa.nulls(len(column), kind)
    if pa.types.is_string(kind):
        return pa.array([as_text(value) for value in column.to_pylist()], kind)
    return pa.array(
        [value.encode() if isinstance(value, str) else value for value in column.to_pylist()], kind
    )


def _reason(error: Exception, address: Address) -> str:
    """The first line of a database's message, without its password."""
    text = str(getattr(error, "orig", None) or error).strip()
    line = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    password = address.url.partition("://")[2].rpartition("@")[0].partition(":")[2]
    return (line.replace(password, "***") if password else line)[:200]
