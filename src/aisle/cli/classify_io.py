"""Input and output of `aisle classify`: rows to classify, where predictions go, counts of decisions."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from aisle.cli import console
from aisle.cli.options import CatalogOptions
from aisle.errors import CatalogError

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.data.chunks import Chunks
    from aisle.guarantee import Prediction
    from aisle.inference.bulk import BulkSummary
    from aisle.inference.bulk.cluster import Cluster
    from aisle.progress import Progress


class ProductReader(NamedTuple):
    """Reads the rows to classify, as a whole or in chunks. `like` is the model that classifies them."""

    sources: Sequence[Path]
    options: CatalogOptions
    like: Any = None

    def catalog(self) -> "Catalog":
        """All rows at once.

        Raises:
            CatalogError: They cannot be read.
        """
        from aisle.data import benchmark_datasets

        sources = self.files()
        if len(sources) > 1 and any(benchmark_datasets.parse_benchmark(source) for source in sources):
            raise CatalogError("a benchmark data set cannot be combined with other files: name it alone")
        source = sources[0] if len(sources) == 1 else sources
        return self.options.read(source, labels=False, like=self.like)

    def chunks(self, rows: int) -> "Chunks":
        """Chunks of at most `rows` rows.

        Raises:
            CatalogError: The rows cannot be read.
        """
        from aisle.data import benchmark_datasets
        from aisle.data.catalog_format import format_of
        from aisle.data.chunks import CatalogChunks, ChunkReader
        from aisle.data.dates import parse_date_format
        from aisle.data.readers.base import ReadOptions

        sources, options = self.files(), self.options
        benchmark = benchmark_datasets.parse_benchmark(sources[0])
        if benchmark is not None:
            return CatalogChunks(self.catalog(), [benchmark.folder], rows)
        described = options.described()
        if options.date_format is not None:
            described.columns["date_format"] = parse_date_format(options.date_format)
        hints = ReadOptions(
            options.field_delimiter(),
            options.encoding,
            format_of(self.like),
            max_expanded=options.max_bytes(),
        )
        return ChunkReader(sources, rows, described.columns, options.image_root, hints, described.vectors)

    def settings(self) -> dict[str, Any]:
        """The options that change predictions."""
        root = self.options.image_root
        return {
            "image_root": None if root is None else str(root),
            "delimiter": self.options.delimiter,
            "encoding": self.options.encoding,
            "vectors": [f"{name}={file}" for name, file in self.options.described().vectors.items()],
        }

    def files(self) -> list[Path]:
        """The sources, patterns expanded."""
        from aisle.data.paths import expand_pattern

        return [file for source in self.sources for file in expand_pattern(source)]


@dataclass
class Tally:
    """Counts decisions while predictions are streamed. `before` are the rows that an earlier run wrote."""

    meaning: ClassVar = {
        "accept": "full path, decided automatically",
        "partial": "partial path, decided automatically",
        "review": "left for review",
    }

    decisions: Counter[str] = field(default_factory=Counter)
    branches: Counter[str] = field(default_factory=Counter)
    troubled: int = 0
    cached: int = 0
    before: int = 0
    seconds: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, done: "BulkSummary") -> "Tally":
        """The counts of a folder that is written."""
        return cls(done.decisions, done.branches, done.troubled, done.cached, done.before, done.seconds)

    @property
    def rows(self) -> int:
        """Number of predictions."""
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
        """The counts as JSON data."""
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

    def print(self, price: float | None) -> None:
        """Print one line per decision type, the most frequent top categories, the speed and its cost."""
        rows, say = self.rows, console.out.print
        note = f", {self.troubled:,} of them with problems (see `problems`)" if self.troubled else ""
        say(f"{rows:,} products{note}")
        for decision, meaning in self.meaning.items():
            count = self.decisions[decision]
            share = f"{count / rows:.0%}" if rows else ""
            say(f"  {decision:<8} {count:>9,}  {share:>4}  {meaning}")
        if rows:
            top = ", ".join(f"{name} {count:,}" for name, count in self.branches.most_common(3))
            say(f"  most frequent: {top}", markup=False)
        if self.cached:
            say(
                f"  {self.cached:,} ({self.cached / rows:.0%}) equal another listing and were "
                f"classified with it"
            )
        now = rows - self.before
        if now and self.seconds:
            pace = f"  {now / self.seconds:,.0f} products/s"
            say(pace if price is None else f"{pace}, {console.cost(price, now, self.seconds)}")


def into_file(
    model: Any, reader: ProductReader, path: Path, cache: bool, progress: "Progress"
) -> tuple[Tally, dict[str, str]]:
    """Write the predictions of all rows to one file.

    Returns:
        The counts, and the output path by name.

    Raises:
        AisleError: The rows cannot be read, or the file cannot be written.
    """
    from aisle.cli.summary import print_catalog_summary
    from aisle.inference.bulk import CACHE_SIZE, CachedPredictions
    from aisle.inference.prediction_files import write_predictions
    from aisle.inference.prediction_table import titles_of

    catalog = reader.catalog()
    print_catalog_summary(catalog, progress, model)
    tally, cached = Tally(), CachedPredictions(model, CACHE_SIZE if cache else 0)
    with progress("classifying", len(catalog)) as advance:
        found = tally.counted(cached(catalog, advance))
        write_predictions(found, path, titles_of(catalog), model.taxonomy.depth)
    tally.cached = cached.hits
    return tally, {"predictions": str(path)}


class ShardSettings(NamedTuple):
    """How a folder is written: file format, rows per shard, whether identical listings are classified
    once, and the Ray cluster (None: this process)."""

    form: str
    rows: int
    cache: bool
    cluster: "Cluster | None" = None


def open_cluster(
    address: str | None, run: Path, trust_code: bool, device: str, precision: float | None = None
) -> "Cluster | None":
    """The Ray cluster at an address; `local` starts one on this machine, None means no cluster."""
    if address is None:
        return None
    from aisle import workflow
    from aisle.inference.bulk.cluster import Cluster

    load = partial(workflow.load, run.absolute(), trust_code=trust_code, device=device, precision=precision)
    return Cluster(load, None if address == "local" else address)


def into_folder(
    model: Any, reader: ProductReader, folder: Path, shards: ShardSettings, progress: "Progress"
) -> tuple[Tally, dict[str, str]]:
    """Write the predictions of all rows, or of those that an earlier run left, to shards in a folder.

    Returns:
        The counts, and the output paths by name.

    Raises:
        AisleError: The rows cannot be read, the folder belongs to another run, or it cannot be written.
    """
    from aisle.cli.summary import columns_line, print_missing_views
    from aisle.inference.bulk import CACHE_SIZE, BulkJob, classify_to_folder
    from aisle.inference.known_columns import check_chunks

    chunks = reader.chunks(shards.rows)
    about = "" if chunks.total is None else f"about {chunks.total:,} rows; "
    progress.say(f"{about}columns: {columns_line(chunks.columns)}")
    print_missing_views(check_chunks(model, chunks), progress)
    settings = {"shard_rows": shards.rows, **reader.settings()}
    job = BulkJob(model, chunks, folder, f".{shards.form}", CACHE_SIZE if shards.cache else 0, settings)
    tally = Tally.of(classify_to_folder(job, progress, shards.cluster))
    name = f"part-*.{shards.form}"
    return tally, {"predictions": str(folder / name), "problems": str(folder / "_problems.jsonl")}
