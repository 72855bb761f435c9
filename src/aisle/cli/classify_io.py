"""What `aisle classify` is told, and what it tells: rows to answer, where they go, what became of them."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from aisle.cli import catalog_flags as flags
from aisle.cli import console
from aisle.errors import CatalogError

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.data.chunks import Chunks
    from aisle.guarantee import Prediction
    from aisle.inference.bulk import Done
    from aisle.inference.bulk.cluster import Cluster
    from aisle.progress import Progress


class Reading(NamedTuple):
    """The rows to answer, as the flags of a catalogue say. like: the model that answers."""

    sources: Sequence[Path]
    column: list[str] | None = None
    columns: Path | None = None
    image_root: Path | None = None
    max_expanded: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    date_format: str | None = None
    like: Any = None

    def catalog(self) -> "Catalog":
        """All of them at once.

        Raises:
            CatalogError: they cannot be read.
        """
        from aisle.data import benchmark_datasets

        sources = self.files()
        if len(sources) > 1 and any(benchmark_datasets.parse_contest(source) for source in sources):
            raise CatalogError("a contest is classified by itself: name it alone")
        named = self._replace(sources=sources)._asdict()
        del named["sources"]
        return flags.open_catalog(sources[0] if len(sources) == 1 else sources, **named, labels=False)

    def pieces(self, rows: int) -> "Chunks":
        """A piece at a time, of so many rows at most.

        Raises:
            CatalogError: they cannot be read.
        """
        from aisle.data import benchmark_datasets
        from aisle.data.catalog_format import format_of
        from aisle.data.chunks import CatalogChunks, ChunkReader
        from aisle.data.dates import checked_format
        from aisle.data.tables import ReadOptions

        sources = self.files()
        contest = benchmark_datasets.parse_contest(sources[0])
        if contest is not None:
            return CatalogChunks(self.catalog(), [contest.folder], rows)
        said = flags.described(self.column, self.columns)
        if self.date_format is not None:
            said.columns["date_format"] = checked_format(self.date_format)
        limit = flags.size(self.max_expanded)
        hints = ReadOptions(
            flags.mark(self.delimiter), self.encoding, format_of(self.like), max_expanded=limit
        )
        return ChunkReader(sources, rows, said.columns, self.image_root, hints, said.vectors)

    def settings(self) -> dict[str, Any]:
        """What of it decides the answers."""
        root = None if self.image_root is None else str(self.image_root)
        vectors = flags.described(self.column, self.columns).vectors
        return {
            "image_root": root,
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            "vectors": [f"{name}={file}" for name, file in vectors.items()],
        }

    def files(self) -> list[Path]:
        """What the patterns among the sources mean."""
        from aisle.data.paths import expand_pattern

        return [file for source in self.sources for file in expand_pattern(source)]


@dataclass
class Tally:
    """What became of the products, counted while they stream by. before: those that an earlier run wrote."""

    meaning: ClassVar = {
        "accept": "placed, full path",
        "partial": "placed in a branch",
        "review": "for a person to look at",
    }

    decisions: Counter[str] = field(default_factory=Counter)
    branches: Counter[str] = field(default_factory=Counter)
    troubled: int = 0
    cached: int = 0
    before: int = 0
    seconds: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, done: "Done") -> "Tally":
        """Of a folder that is written."""
        return cls(done.decisions, done.branches, done.troubled, done.cached, done.before, done.seconds)

    @property
    def rows(self) -> int:
        """All of them."""
        return sum(self.decisions.values())

    def counted(self, predictions: "Iterable[Prediction]") -> "Iterator[Prediction]":
        """The same predictions, each counted."""
        for prediction in predictions:
            self.decisions[prediction.decision] += 1
            self.branches[prediction.best[0]] += 1
            self.troubled += bool(prediction.problems)
            yield prediction
        self.seconds = time.perf_counter() - self.started

    def to_dict(self, model_id: str, price: float | None) -> dict[str, Any]:
        """For a machine."""
        now = self.rows - self.before
        found: dict[str, Any] = {
            "rows": self.rows,
            "decisions": dict(self.decisions),
            "rows_with_problems": self.troubled,
            "answered_from_cache": self.cached,
            "written_before": self.before,
            "seconds": round(self.seconds, 3),
            "products_per_second": round(now / self.seconds, 1) if self.seconds else None,
            "model_id": model_id,
        }
        if price is not None and now:
            found["cost_per_million"] = price * self.seconds / 3600 / now * 1e6
        return found

    def show(self, price: float | None) -> None:
        """A line a decision, the categories most answers lie in, the pace and its price."""
        rows, say = self.rows, console.out.print
        note = f", {self.troubled:,} of them with problems (see `problems`)" if self.troubled else ""
        say(f"{rows:,} products{note}")
        for decision, meaning in self.meaning.items():
            count = self.decisions[decision]
            share = f"{count / rows:.0%}" if rows else ""
            say(f"  {decision:<8} {count:>9,}  {share:>4}  {meaning}")
        if rows:
            top = ", ".join(f"{name} {count:,}" for name, count in self.branches.most_common(3))
            say(f"  best answers mostly in: {top}", markup=False)
        if self.cached:
            say(f"  {self.cached:,} ({self.cached / rows:.0%}) say what another listing says: asked once")
        now = rows - self.before
        if now and self.seconds:
            pace = f"  {now / self.seconds:,.0f} products/s"
            say(pace if price is None else f"{pace}, {console.cost(price, now, self.seconds)}")


def into_file(
    model: Any, reading: Reading, place: Path, cache: bool, progress: "Progress"
) -> tuple[Tally, dict[str, str]]:
    """Answer all rows into one file. Returns what became of them, and where things are.

    Raises:
        AisleError: the rows cannot be read, or the file cannot be written.
    """
    from aisle.cli.summary import tell
    from aisle.inference.bulk import REMEMBERED, Answers
    from aisle.inference.prediction_files import write_predictions

    catalog = reading.catalog()
    tell(catalog, progress, model)
    tally, answers = Tally(), Answers(model, REMEMBERED if cache else 0)
    with progress("classifying", len(catalog)) as advance:
        write_predictions(tally.counted(answers(catalog, advance)), place)
    tally.cached = answers.hits
    return tally, {"predictions": str(place)}


class How(NamedTuple):
    """How a folder is written: the shards' format, their rows, whether answers are remembered, and where the
    work is done (None: in this process)."""

    form: str
    rows: int
    cache: bool
    cluster: "Cluster | None" = None


def cluster(address: str | None, run: Path, trust_code: bool, device: str) -> "Cluster | None":
    """What `--ray` means: `local` a cluster of this machine; None: none."""
    if address is None:
        return None
    from aisle import workflow
    from aisle.inference.bulk.cluster import Cluster

    load = partial(workflow.load, run.absolute(), trust_code=trust_code, device=device)
    return Cluster(load, None if address == "local" else address)


def into_folder(
    model: Any, reading: Reading, place: Path, how: How, progress: "Progress"
) -> tuple[Tally, dict[str, str]]:
    """Answer all rows into shards in a folder, or those that are left.

    Raises:
        AisleError: the rows cannot be read, the folder is another run's, or it cannot be written.
    """
    from aisle.cli.summary import columns_line, say_lacking
    from aisle.inference.bulk import REMEMBERED, Job, classify_into
    from aisle.inference.known_columns import check_pieces

    pieces = reading.pieces(how.rows)
    about = "" if pieces.total is None else f"about {pieces.total:,} rows; "
    progress.say(f"{about}columns: {columns_line(pieces.columns)}")
    say_lacking(check_pieces(model, pieces), progress)
    settings = {"shard_rows": how.rows, **reading.settings()}
    job = Job(model, pieces, place, f".{how.form}", REMEMBERED if how.cache else 0, settings)
    tally = Tally.of(classify_into(job, progress, how.cluster))
    name = f"part-*.{how.form}"
    return tally, {"predictions": str(place / name), "problems": str(place / "_problems.jsonl")}
