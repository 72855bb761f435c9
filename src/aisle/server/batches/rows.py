"""The products of an uploaded file with their predictions and what a person decided, in a SQLite file.

Each file has a database of its own, so that the server's stays small, and deleting it is deleting a file.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aisle.guarantee import Prediction
from aisle.guarantee.prediction import Alternative
from aisle.taxonomy import CategoryPath

OPEN, ACCEPTED, CHOSEN, REVIEW = "open", "accepted", "chosen", "review"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS products (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL, title TEXT NOT NULL, best TEXT NOT NULL, best_id TEXT NOT NULL,
    path TEXT NOT NULL, path_id TEXT NOT NULL, branch TEXT NOT NULL, confidence REAL NOT NULL,
    levels TEXT NOT NULL, decision TEXT NOT NULL, reason TEXT NOT NULL, rule TEXT NOT NULL, threshold REAL,
    alternatives TEXT NOT NULL, problems TEXT NOT NULL, model_id TEXT NOT NULL,
    verdict TEXT NOT NULL DEFAULT 'open', step INTEGER NOT NULL DEFAULT 0, chosen TEXT, chosen_id TEXT,
    review_id INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_confidence ON products (confidence, row);
CREATE INDEX IF NOT EXISTS by_branch ON products (branch, decision, verdict);
"""
_COLUMNS = (
    *("row", "id", "title", "best", "best_id", "path", "path_id", "branch", "confidence", "levels"),
    *("decision", "reason", "rule", "threshold", "alternatives", "problems", "model_id"),
)
_FACETS = ("branch", "decision", "verdict")
_ORDERS = {
    "-confidence": "confidence DESC, row",
    "confidence": "confidence, row",
    "row": "row",
}
_TITLE = 300  # characters of a title that are kept for display


class RowFilter(NamedTuple):
    """Which products; empty: all.

    Attributes:
        branch: Level-1 category of the best path.
        decision: The model's: accept, partial, review.
        verdict: A person's: open, accepted, chosen, review (sent to the queue).
        words: A part of the title or the id.
        min_confidence: Of the best path.
    """

    branch: str = ""
    decision: str = ""
    verdict: str = ""
    words: str = ""
    min_confidence: float = 0.0

    def where(self, without: str = "") -> tuple[str, list[Any]]:
        """The SQL condition and its values; `without`: a facet that is left out."""
        parts, values = ["1"], []
        for name in _FACETS:
            value = getattr(self, name)
            if value and name != without:
                parts.append(f"{name} = ?")
                values.append(value)
        if self.words:
            parts.append("(title LIKE ? ESCAPE '\\' OR id = ?)")
            escaped = self.words.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
            values += [f"%{escaped}%", self.words]
        if self.min_confidence > 0:
            parts.append("confidence >= ?")
            values.append(self.min_confidence)
        return " AND ".join(parts), values


class RowPage(NamedTuple):
    """Products of a page, how many there are on all pages, and counts by facet."""

    rows: list[dict[str, Any]]
    total: int
    facets: dict[str, list[dict[str, Any]]]


class RowTable:
    """The SQLite file of one upload.

    It has a rollback journal: a change to WAL fails at once, whatever the timeout, while another connection
    opens the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            connection.executescript("PRAGMA synchronous=NORMAL;" + _SCHEMA)
            with connection:
                yield connection
        finally:
            connection.close()

    def clear(self) -> None:
        """Delete all products."""
        with self._open() as connection:
            connection.execute("DELETE FROM products")

    def count(self) -> int:
        """How many products there are: the first ones of the file."""
        if not self.path.exists():
            return 0
        with self._open() as connection:
            return connection.execute("SELECT count(*) FROM products").fetchone()[0]

    def add(self, first: int, predictions: Sequence[Prediction], titles: Sequence[str]) -> None:
        """Add the next products, all or none.

        Args:
            first: Position of the first one in the file.
            predictions: B predictions.
            titles: Of the B products.
        """
        marks = ", ".join("?" * len(_COLUMNS))
        rows = [_row(first + i, *pair) for i, pair in enumerate(zip(predictions, titles, strict=True))]
        with self._open() as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO products ({', '.join(_COLUMNS)}) VALUES ({marks})", rows
            )

    def page(self, rows: RowFilter, order: str, start: int, limit: int) -> RowPage:
        """Products that pass a filter, and counts by facet: of each facet under the others.

        Args:
            rows: The filter.
            order: `confidence`, `-confidence` or `row`.
            start: How many are passed over.
            limit: How many at most.
        """
        condition, values = rows.where()
        with self._open() as connection:
            total = connection.execute(f"SELECT count(*) FROM products WHERE {condition}", values)
            found = connection.execute(
                f"SELECT * FROM products WHERE {condition} ORDER BY {_ORDERS[order]} LIMIT ? OFFSET ?",
                [*values, limit, start],
            )
            facets = {name: _facet(connection, name, rows) for name in _FACETS}
            return RowPage([_shown(row) for row in found], total.fetchone()[0], facets)

    def accept(self, rows: RowFilter, confirm: bool) -> dict[str, Any]:
        """Accept the best category of open products that pass a filter.

        Args:
            rows: The filter.
            confirm: Else only counts are given.

        Returns:
            `count`, and the lowest confidence.
        """
        condition, values = rows._replace(verdict=OPEN).where()
        with self._open() as connection:
            query = f"SELECT count(*) AS count, min(confidence) AS lowest FROM products WHERE {condition}"
            found = dict(connection.execute(query, values).fetchone())
            if confirm and found["count"]:
                connection.execute(
                    "UPDATE products SET verdict = ?, chosen = best, chosen_id = best_id, step = "
                    f"(SELECT max(step) + 1 FROM products) WHERE {condition}",
                    [ACCEPTED, *values],
                )
        return found

    def choose(self, row: int, path: CategoryPath, node_id: str) -> bool:
        """Choose a category for one product; False where there is no such product.

        Args:
            row: Its position in the file.
            path: The category.
            node_id: Its id.
        """
        with self._open() as connection:
            done = connection.execute(
                "UPDATE products SET verdict = CASE best_id WHEN ? THEN ? ELSE ? END, chosen = ?, "
                "chosen_id = ?, step = (SELECT max(step) + 1 FROM products) WHERE row = ?",
                [node_id, ACCEPTED, CHOSEN, _json(path), node_id, row],
            )
            return done.rowcount > 0

    def undo(self) -> int:
        """Take the last acceptance or choice back.

        Returns:
            How many products it concerned; 0: there is nothing to undo.
        """
        with self._open() as connection:
            return connection.execute(
                "UPDATE products SET verdict = ?, chosen = NULL, chosen_id = NULL, step = 0 "
                "WHERE step > 0 AND step = (SELECT max(step) FROM products)",
                [OPEN],
            ).rowcount

    def rest(self, limit: int) -> list[int]:
        """Positions of products that neither the model nor a person accepted, the least sure first."""
        with self._open() as connection:
            found = connection.execute(
                "SELECT row FROM products WHERE verdict = ? AND decision != 'accept' "
                "ORDER BY confidence, row LIMIT ?",
                [OPEN, limit],
            )
            return [row for (row,) in found]

    def rest_count(self) -> int:
        """How many `rest` has."""
        with self._open() as connection:
            query = "SELECT count(*) FROM products WHERE verdict = ? AND decision != 'accept'"
            return connection.execute(query, [OPEN]).fetchone()[0]

    def queued(self, reviews: Mapping[int, int]) -> None:
        """Note the review items of products: position -> item."""
        with self._open() as connection:
            connection.executemany(
                "UPDATE products SET verdict = ?, review_id = ? WHERE row = ?",
                [(REVIEW, item, row) for row, item in reviews.items()],
            )

    def predictions(self, rows: Iterable[int]) -> dict[int, Prediction]:
        """Predictions by position."""
        with self._open() as connection:
            return {
                row: prediction_of(dict(found))
                for row in rows
                for found in connection.execute("SELECT * FROM products WHERE row = ?", [row])
            }

    def all(self) -> Iterator[dict[str, Any]]:
        """All products in the order of the file, as stored."""
        with self._open() as connection:
            for row in connection.execute("SELECT * FROM products ORDER BY row"):
                yield dict(row)


def prediction_of(row: Mapping[str, Any]) -> Prediction:
    """The model's prediction of a stored product."""
    return Prediction(
        id=row["id"],
        best=_path(row["best"]),
        best_id=row["best_id"],
        path=_path(row["path"]),
        path_id=row["path_id"],
        confidence=tuple(json.loads(row["levels"])),
        decision=row["decision"],
        reason=row["reason"],
        alternatives=tuple(
            Alternative(tuple(path), share) for path, share in json.loads(row["alternatives"])
        ),
        problems=tuple(json.loads(row["problems"])),
        model_id=row["model_id"],
        threshold=row["threshold"],
        rule=row["rule"],
    )


def _path(text: str) -> CategoryPath:
    return tuple(json.loads(text))


def _row(row: int, one: Prediction, title: str) -> list[Any]:
    return [
        *(
            row,
            one.id,
            title[:_TITLE],
            _json(one.best),
            one.best_id,
            _json(one.path),
            one.path_id,
            one.best[0],
        ),
        *(one.confidence[-1], _json([round(share, 6) for share in one.confidence]), one.decision, one.reason),
        *(one.rule, one.threshold, _json([[path, round(share, 6)] for path, share in one.alternatives])),
        *(_json(one.problems), one.model_id),
    ]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("row", "id", "title", "best_id", "confidence", "decision", "reason")},
        "best": list(_path(row["best"])),
        "path": list(_path(row["path"])),
        "verdict": row["verdict"],
        "chosen": None if row["chosen"] is None else list(_path(row["chosen"])),
        "review_id": row["review_id"],
        "alternatives": [
            {"path": path, "confidence": share} for path, share in json.loads(row["alternatives"])
        ],
        "problems": json.loads(row["problems"]),
    }


def _facet(connection: sqlite3.Connection, name: str, rows: RowFilter) -> list[dict[str, Any]]:
    condition, values = rows.where(without=name)
    query = f"SELECT {name} AS value, count(*) AS count FROM products WHERE {condition} GROUP BY 1"
    return [dict(row) for row in connection.execute(f"{query} ORDER BY 2 DESC, 1", values)]
