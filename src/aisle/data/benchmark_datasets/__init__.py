"""Public benchmark data sets: readers of their formats, and writers of their submission formats.

Each is a module with the two functions in `BENCHMARKS`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from aisle.data.benchmark_datasets import kakao as _kakao
from aisle.data.benchmark_datasets import rakuten as _rakuten
from aisle.data.catalog import Catalog
from aisle.errors import CatalogError
from aisle.progress import SILENT, Progress

BENCHMARKS = {"kakao": _kakao, "rakuten": _rakuten}


class SubmittedPrediction(Protocol):
    """The attributes of a prediction that a submission needs."""

    @property
    def id(self) -> str:
        """The product's id."""
        ...

    @property
    def best_id(self) -> str:
        """The id of the predicted category."""
        ...


class BenchmarkSource(NamedTuple):
    """A parsed source such as `kakao:FOLDER:dev`; phase "" is the training phase."""

    name: str
    folder: Path
    phase: str


def parse_benchmark(source: str | Path) -> BenchmarkSource | None:
    """Parse `NAME:FOLDER[:PHASE]`; None if the source is anything else, such as a path."""
    name, colon, rest = str(source).partition(":")
    if not colon or name not in BENCHMARKS or Path(source).exists():
        return None
    folder, colon, phase = rest.rpartition(":")
    return BenchmarkSource(name, Path(folder), phase) if colon else BenchmarkSource(name, Path(rest), "")


def open_benchmark(source: BenchmarkSource, progress: Progress = SILENT) -> Catalog:
    """Read one phase of a benchmark data set as a catalog.

    Raises:
        CatalogError: The folder lacks a file, or there is no such phase.
    """
    module = BENCHMARKS[source.name]
    phase = source.phase or "train"
    if phase not in module.PHASES:
        raise CatalogError(f"{source.name} has no phase {phase!r}; it has {', '.join(module.PHASES)}")
    return getattr(module, source.name)(source.folder, phase, progress=progress)


def write_submission(
    name: str, catalog: Catalog, predictions: Iterable[SubmittedPrediction], file: str | Path
) -> int:
    """Write predictions in a benchmark's submission format. The file is written under a temporary name first.

    Args:
        name: The benchmark's name, a key of `BENCHMARKS`.
        catalog: The rows.
        predictions: One per row, in order.
        file: The output file.

    Returns:
        The number of rows.

    Raises:
        CatalogError: Predictions are missing, too many or in another order; a category is not one of the
            benchmark; or the file cannot be written.
    """
    if name not in BENCHMARKS:
        raise CatalogError(f"there is no benchmark data set {name!r}; there are {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name].write_submission(catalog, predictions, Path(file))
