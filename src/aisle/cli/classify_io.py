"""Input and output of `aisle classify`: rows to classify, where predictions go, counts of decisions."""

import re
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
from aisle.progress_bars import cost

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.data.chunks import Chunks
    from aisle.guarantee import Prediction
    from aisle.inference.bulk import BulkSummary
    from aisle.inference.bulk.cluster import Cluster
    from aisle.inference.write_back import WriteBackSummary
    from aisle.progress import Progress
    from aisle.rules import Ruleset


_FILLED = re.compile(r"(?:^|[\W_])filled[\W_]", re.IGNORECASE)


def output_path(out: str, fill: bool | None, every: bool, ray: str | None) -> tuple[Path, bool]:
    """The output path, and whether it is a folder for shards.

    Raises:
        OutputError: --ray with a file, or --fill or --all with a folder.
    """
    from aisle.data.paths import is_remote, to_path
    from aisle.inference.prediction_files import OutputError

    target = to_path(out)
    is_folder = out.endswith("/") or not target.suffix or (not is_remote(target) and target.is_dir())
    if not is_folder and ray is not None:
        raise OutputError(f"--ray writes shards: name a folder, such as --out {target.stem}/")
    if is_folder and (fill or every):
        raise OutputError(
            "--fill and --all concern one output file: name it, such as --out export.filled.csv"
        )
    return target, is_folder


class ProductReader(NamedTuple):
    """Reads the rows to classify, as a whole or in chunks. `like` is the model that classifies them."""

    files: Sequence[Path]
    options: CatalogOptions
    like: Any = None

    @classmethod
    def of(cls, sources: Sequence[Path], options: CatalogOptions) -> "ProductReader":
        """A reader of the sources, whose patterns are expanded.

        Raises:
            CatalogError: A pattern matches no file.
        """
        from aisle.data.paths import expand_pattern

        return cls([file for source in sources for file in expand_pattern(source)], options)

    def catalog(self) -> "Catalog":
        """All rows at once.

        Raises:
            CatalogError: They cannot be read.
        """
        from aisle.data import benchmark_datasets

        if len(self.files) > 1 and any(map(benchmark_datasets.parse_benchmark, self.files)):
            raise CatalogError("a benchmark data set cannot be combined with other files: name it alone")
        source = self.files[0] if len(self.files) == 1 else list(self.files)
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

        options = self.options
        benchmark = benchmark_datasets.parse_benchmark(self.files[0])
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
        return ChunkReader(
            list(self.files),
            rows,
            described.columns,
            options.image_root,
            hints,
            described.vectors,
            options.dialect,
            options.category_file,
        )

    def settings(self) -> dict[str, Any]:
        """The options that change predictions."""
        root = self.options.image_root
        return {
            "image_root": None if root is None else str(root),
            "delimiter": self.options.delimiter,
            "encoding": self.options.encoding,
            "dialect": self.options.dialect,
            "vectors": [f"{name}={file}" for name, file in self.options.described().vectors.items()],
        }


def with_rules(model: Any, rules: Path | None) -> Any:
    """The model with the rules of a file; by default with its own, as they act today.

    Raises:
        RulesError: The rules are malformed, or do not fit the model.
    """
    from datetime import date

    if rules is not None:
        model = model.with_rules(None if str(rules) == "none" else rules)
    return model if model.rules is None else model.with_rules(model.rules.at(date.today()))


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
    by_rules: Counter[str] = field(default_factory=Counter)
    troubled: int = 0
    cached: int = 0
    before: int = 0
    seconds: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, done: "BulkSummary") -> "Tally":
        """The counts of a folder that is written."""
        counts = (done.decisions, done.branches, done.by_rules)
        return cls(*counts, done.troubled, done.cached, done.before, done.seconds)

    @property
    def rows(self) -> int:
        """Number of predictions."""
        return sum(self.decisions.values())

    def counted(self, predictions: "Iterable[Prediction]") -> "Iterator[Prediction]":
        """The same predictions, each counted."""
        for prediction in predictions:
            self.decisions[prediction.decision] += 1
            self.branches[prediction.best[0]] += 1
            if prediction.rule:
                self.by_rules[prediction.decision] += 1
            self.troubled += bool(prediction.problems)
            yield prediction
        self.seconds = time.perf_counter() - self.started

    def to_dict(self, model_id: str, price: float | None) -> dict[str, Any]:
        """The counts as JSON data."""
        classified = self.rows - self.before
        result: dict[str, Any] = {
            "rows": self.rows,
            "decisions": dict(self.decisions),
            "by_rules": dict(self.by_rules),
            "rows_with_problems": self.troubled,
            "answered_from_cache": self.cached,
            "written_before": self.before,
            "seconds": round(self.seconds, 3),
            "products_per_second": round(classified / self.seconds, 1) if self.seconds else None,
            "model_id": model_id,
        }
        if price is not None and classified:
            result["cost_per_million"] = price * self.seconds / 3600 / classified * 1e6
        return result

    def print(self, price: float | None) -> None:
        """Print one line per decision type, the most frequent top categories, the speed and its cost."""
        rows, write = self.rows, console.out.print
        note = f", {self.troubled:,} of them with problems (see `problems`)" if self.troubled else ""
        write(f"{rows:,} products{note}")
        for decision, meaning in self.meaning.items():
            count = self.decisions[decision]
            share = f"{count / rows:.0%}" if rows else ""
            write(f"  {decision:<8} {count:>9,}  {share:>4}  {meaning}")
        if self.by_rules:
            automatic = self.by_rules["accept"] + self.by_rules["partial"]
            write(
                f"  {automatic:,} of them decided and {self.by_rules['review']:,} left for review by rules "
                f"or with them: the guarantee counts the other {rows - self.by_rules.total():,}"
            )
        if rows:
            top = ", ".join(f"{name} {count:,}" for name, count in self.branches.most_common(3))
            write(f"  most frequent: {top}", markup=False)
        if self.cached:
            write(
                f"  {self.cached:,} ({self.cached / rows:.0%}) equal another listing and were "
                f"classified with it"
            )
        classified = rows - self.before
        if classified and self.seconds:
            pace = f"  {classified / self.seconds:,.0f} products/s"
            write(pace if price is None else f"{pace}, {cost(price, classified, self.seconds)}")


class WrittenFile(NamedTuple):
    """One output file.

    Attributes:
        tally: The counts of predictions.
        paths: The output paths by name.
        written: What was filled in; None for a table of predictions.
    """

    tally: Tally
    paths: dict[str, str]
    written: "WriteBackSummary | None" = None

    def to_dict(self) -> dict[str, Any]:
        """The paths, and the counts of a filled export, as JSON data."""
        if self.written is None:
            return self.paths
        names = (
            *("columns", "source_rows", "rows_filled", "rows_malformed", "rows_unencodable"),
            "categories_without_code",
        )
        return self.paths | {name: getattr(self.written, name) for name in names}

    def print(self) -> None:
        """Print how many rows were filled in."""
        if self.written is None:
            return
        decisions, write = self.written, console.out.print
        column = " / ".join(decisions.columns)
        write(
            f"  {column!r} is new in {decisions.rows_filled:,} of {decisions.source_rows:,} rows",
            markup=False,
        )
        if decisions.rows_malformed:
            write(f"  {decisions.rows_malformed:,} malformed rows were copied as they are")
        if decisions.rows_unencodable:
            write(
                f"  {decisions.rows_unencodable:,} categories cannot be written in the encoding of the file"
            )
        if decisions.categories_without_code:
            number, first = len(decisions.categories_without_code), decisions.categories_without_code[0]
            write(f"  {number:,} categories have no code in this shop, such as {first!r}", markup=False)


class FillSettings(NamedTuple):
    """Whether the output is the export itself with its categories filled in (None: as the names of the files
    and the export's platform tell), and whether each product gets its best category or only those decided."""

    fill: bool | None
    every: bool

    @classmethod
    def check(cls, fill: bool | None, every: bool, files: Sequence[Path], out: Path) -> "FillSettings":
        """The options of the user, completed from the file names.

        Raises:
            OutputError: The output file cannot be written, before its products are classified.
        """
        from aisle.inference.prediction_files import check_output
        from aisle.inference.write_back import check_write_back

        fills = fills_export(fill, files, out)
        if fills:
            check_write_back(files, out)
        else:
            check_output(out)
        return cls(fills, every)


def fills_export(fill: bool | None, files: Sequence[Path], out: Path) -> bool | None:
    """Whether `out` is the export itself, with its categories filled in, rather than a table of predictions.

    Args:
        fill: What the user states.
        files: The sources.
        out: The output file.

    Returns:
        What the names tell. `predictions*`, and a file of another format than the source: a table. Names with
        the word `filled`, and formats that no table is written in: the export. None: the names do not tell;
        it is the export if that is a known platform's.
    """
    from aisle.data.files import TableFile
    from aisle.data.rewriting.files import can_rewrite
    from aisle.inference.prediction_files import SINKS

    if fill is not None:
        return fill
    if len(files) != 1 or out.name.lower().startswith("predictions"):
        return False
    if TableFile(files[0]).ending != TableFile(out).ending or files[0].is_dir() or not can_rewrite(files[0]):
        return False
    if out.suffix.lower() not in SINKS or _FILLED.search(out.name):
        return True
    return None


def into_file(
    model: Any,
    reader: ProductReader,
    path: Path,
    cache: bool,
    progress: "Progress",
    settings: FillSettings,
) -> "WrittenFile":
    """Write the predictions of all rows to one file, or the export itself with its categories filled in.

    Raises:
        AisleError: The rows cannot be read, or the file cannot be written.
    """
    from aisle.cli.summary import print_catalog_summary
    from aisle.inference.bulk import CACHE_SIZE, CachedPredictions
    from aisle.inference.prediction_files import write_predictions
    from aisle.inference.prediction_table import titles_of
    from aisle.inference.write_back import write_back_catalog

    catalog = reader.catalog()
    print_catalog_summary(catalog, progress, model)
    fills = catalog.dialect is not None if settings.fill is None else settings.fill
    if settings.every and not fills:
        raise CatalogError("--all fills in the export itself: add --fill, and name an output of its format")
    if fills:
        progress.say(
            f"{path.name} is {reader.files[0].name} with its categories filled in (--no-fill: a table)"
        )
    tally, cached = Tally(), CachedPredictions(model, CACHE_SIZE if cache else 0)
    with progress("classifying", len(catalog)) as advance:
        predictions = tally.counted(cached(catalog, advance))
        if not fills:
            write_predictions(predictions, path, titles_of(catalog), model.taxonomy.depth)
            tally.cached = cached.hits
            return WrittenFile(tally, {"predictions": str(path)})
        written = write_back_catalog(
            catalog,
            predictions,
            path,
            model,
            every=settings.every,
            category_file=reader.options.category_file,
        )
    tally.cached = cached.hits
    decisions = {} if written.decisions is None else {"decisions": str(written.decisions)}
    return WrittenFile(tally, {"filled": str(path), **decisions}, written)


class ShardSettings(NamedTuple):
    """How a folder is written: file format, rows per shard, whether identical listings are classified
    once, and the Ray cluster (None: this process)."""

    form: str
    rows: int
    cache: bool
    cluster: "Cluster | None" = None


def open_cluster(
    address: str | None,
    run: Path,
    trust_code: bool,
    device: str,
    precision: float | None = None,
    rules: "Ruleset | None" = None,
) -> "Cluster | None":
    """The Ray cluster at an address; `local` starts one on this machine, None means no cluster."""
    if address is None:
        return None
    from aisle import workflow
    from aisle.inference.bulk.cluster import Cluster

    load = partial(
        workflow.load,
        run.absolute(),
        trust_code=trust_code,
        device=device,
        precision=precision,
        rules=rules or "none",
    )
    return Cluster(load, None if address == "local" else address)


def into_folder(
    model: Any, reader: ProductReader, folder: Path, shards: ShardSettings, progress: "Progress"
) -> WrittenFile:
    """Write the predictions of all rows, or of those that an earlier run left, to shards in a folder.

    Raises:
        AisleError: The rows cannot be read, the folder belongs to another run, or it cannot be written.
    """
    from aisle.cli.summary import columns_line, print_missing_views
    from aisle.inference.bulk import CACHE_SIZE, BulkJob, classify_to_folder
    from aisle.inference.known_columns import check_chunks

    chunks = reader.chunks(shards.rows)
    about = "" if chunks.total is None else f"about {chunks.total:,} rows; "
    title = "" if chunks.dialect is None else f"{chunks.dialect.title}, "
    progress.say(f"{title}{about}columns: {columns_line(chunks.columns)}")
    print_missing_views(check_chunks(model, chunks), progress)
    settings = {"shard_rows": shards.rows, **reader.settings()}
    job = BulkJob(model, chunks, folder, f".{shards.form}", CACHE_SIZE if shards.cache else 0, settings)
    tally = Tally.of(classify_to_folder(job, progress, shards.cluster))
    name = f"part-*.{shards.form}"
    return WrittenFile(
        tally, {"predictions": str(folder / name), "problems": str(folder / "_problems.jsonl")}
    )
