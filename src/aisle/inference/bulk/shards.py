"""One shard of a bulk run: a chunk's predictions in one file, and its problems in another."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aisle.data import Catalog
from aisle.data.chunks import Chunk
from aisle.guarantee import Prediction
from aisle.inference.bulk.cache import CachedPredictions, StreamPredictor
from aisle.inference.prediction_files import refusals, write_whole
from aisle.inference.prediction_table import titles_of
from aisle.progress import Advance

PROBLEMS = "problems.jsonl"  # next to the shard, until both are moved


@dataclass(frozen=True)
class ShardRecord:
    """A written shard.

    Attributes:
        number: of the shard, from 0.
        first: number of its first row, from 1.
        rows: number of rows.
        file: name of its file.
        bytes: size of its file.
        sha256: hash of its file.
        troubled: rows with problems.
        cached: rows predicted from the cache.
        decisions: rows by decision.
        branches: rows by predicted level-1 category.
        by_rules: rows by decision, of those that a rule acted on.
    """

    number: int
    first: int
    rows: int
    file: str
    bytes: int
    sha256: str
    troubled: int
    cached: int
    decisions: dict[str, int] = field(default_factory=dict)
    branches: dict[str, int] = field(default_factory=dict)
    by_rules: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        """The record as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "ShardRecord":
        """Read what `to_json` wrote.

        Raises:
            ValueError, TypeError: the text is something else.
        """
        return cls(**json.loads(text))


def shard_name(number: int, ending: str) -> str:
    """The name of a shard's file: `part-00012.jsonl`."""
    return f"part-{number:05d}{ending}"


def write_shard(
    model: StreamPredictor,
    piece: Chunk,
    folder: Path,
    ending: str,
    cache_size: int,
    advance: Advance | None = None,
) -> ShardRecord:
    """Classify a chunk, and write its predictions and problems.

    Args:
        model: the model.
        piece: the chunk.
        folder: the folder to write to.
        ending: of the shard: `.jsonl`, `.csv` or `.parquet`.
        cache_size: predictions kept for equal products.
        advance: called with the number of rows done.

    Raises:
        OutputError: the files cannot be written.
    """
    catalog, predictions = piece.catalog(), CachedPredictions(model, cache_size)
    file = folder / shard_name(piece.number, ending)
    shown_path = Path(file.name)
    with refusals(shown_path):
        counted = _PredictionCounts(catalog, folder / PROBLEMS)
        with counted:
            predictions_ = counted(predictions(catalog, advance))
            write_whole(predictions_, file, shown_path, titles_of(catalog), model.taxonomy.depth)
        with file.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
    return ShardRecord(
        piece.number,
        piece.first,
        piece.rows,
        file.name,
        file.stat().st_size,
        digest,
        counted.troubled,
        predictions.hits,
        dict(sorted(counted.decisions.items())),
        dict(sorted(counted.branches.items())),
        dict(sorted(counted.by_rules.items())),
    )


class _PredictionCounts:
    """Counts a stream of predictions, and writes their problems as JSON lines."""

    def __init__(self, catalog: Catalog, file: Path) -> None:
        self.catalog = catalog
        self.decisions: Counter[str] = Counter()
        self.branches: Counter[str] = Counter()
        self.by_rules: Counter[str] = Counter()
        self.troubled = 0
        self._file = file.open("w", encoding="utf-8", newline="\n")

    def __enter__(self) -> None:
        for problem in self.catalog.problems:
            if problem.row is None:  # of the file as a whole
                self._note({"row": None, "id": None, "answered": None, "reasons": [str(problem)]})

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def _note(self, decision: dict[str, Any]) -> None:
        self._file.write(json.dumps(decision, ensure_ascii=False) + "\n")

    def __call__(self, predictions: Iterator[Prediction]) -> Iterator[Prediction]:
        fatal, rows = self.catalog.fatal, self.catalog.rows
        for position, prediction in enumerate(predictions):
            self.decisions[prediction.decision] += 1
            self.branches[prediction.best[0]] += 1
            if prediction.rule:
                self.by_rules[prediction.decision] += 1
            if prediction.problems:
                self.troubled += 1
                answered = not fatal[position]
                reasons = list(prediction.problems)
                row = int(rows[position])
                self._note({"row": row, "id": prediction.id, "answered": answered, "reasons": reasons})
            yield prediction
