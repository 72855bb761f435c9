"""What submissions of every contest share: one line a row, in order, in a file that is whole or not there."""

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from aisle.data.catalog import Catalog
from aisle.errors import CatalogError


def write_lines(
    catalog: Catalog,
    answers: Iterable[Any],
    file: Path,
    line: Callable[[dict[str, Any], Any], str],
    header: str = "",
) -> int:
    """One `line(record, answer)` a row of the catalogue; returns how many.

    Raises:
        CatalogError: the answers are not those of the rows, or the disk refuses.
    """
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}.part")
    count = 0
    try:
        with beside.open("w", encoding="utf-8", newline="") as handle:
            handle.write(header)
            for record, answer in _paired(catalog, answers):
                handle.write(line(record, answer))
                count += 1
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(file)
    except OSError as error:
        raise CatalogError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)
    return count


def _paired(catalog: Catalog, answers: Iterable[Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    given = iter(answers)
    for row in range(len(catalog)):
        record = catalog.raw(row)
        answer = next(given, None)
        if answer is None:
            raise CatalogError(f"{row:,} answers for {len(catalog):,} rows: a submission needs one each")
        own = str(record.get(catalog.columns.id or "") or row + 1)
        if answer.id != own:
            raise CatalogError(
                f"answer {row + 1:,} is of product {answer.id!r}, the row of {own!r}: keep the order"
            )
        yield record, answer
    if next(given, None) is not None:
        raise CatalogError(f"more answers than the {len(catalog):,} rows: a submission needs one each")
