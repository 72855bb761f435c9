"""Records in a run folder where its rows came from, for commands that need them again."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.cli.options import CatalogOptions, LabelledCatalogOptions, path_or_url, source_or_address
from aisle.errors import AisleError

if TYPE_CHECKING:
    from aisle.data import Catalog

FILE = "source.json"


def write_run_source(run: Path, source: Path, options: LabelledCatalogOptions) -> None:
    """Write the source of a run's rows into its folder; nothing is written for a pipe or a secret address."""
    from aisle.data.pipes import is_pipe

    if is_pipe(source) or getattr(source, "url", str(source)) != str(source):
        return
    data: dict[str, Any] = {
        "source": _absolute(source),
        "taxonomy": _absolute(options.taxonomy),
        "image_root": _absolute(options.image_root),
        "vectors": {name: _absolute(Path(file)) for name, file in options.described().vectors.items()},
    }
    (run / FILE).write_text(json.dumps(data, ensure_ascii=False, indent=1), "utf-8")


def read_run_source(run: Path, source: Path | None, options: CatalogOptions, like: Any) -> "Catalog":
    """Read the catalog at `source`, or the one that a run was trained on.

    Raises:
        AisleError: The run does not name its catalog, or the catalog is gone.
    """
    from aisle.data.benchmark_datasets import parse_benchmark

    if source is not None:
        return options.read(source, like=like)
    run_folder = run.parent if run.name == "model" and not (run / FILE).exists() else run
    try:
        data = json.loads((run_folder / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        raise AisleError(
            f"{run} does not name the catalog it was trained on: add one, aisle export {run} FILE --onnx"
        ) from None
    path = source_or_address(data["source"])
    if isinstance(path, Path) and not path.exists() and parse_benchmark(path) is None:
        raise AisleError(
            f"{path}, the catalog that {run} was trained on, does not exist: name another file of "
            "labelled rows"
        )
    values = {name: getattr(options, name) for name in options.__dataclass_fields__}
    kept: dict[str, Any] = {
        key: path_or_url(data[key]) for key in ("taxonomy", "image_root") if data.get(key)
    }
    kept |= {key: value for key, value in values.items() if value is not None}
    vectors = [f"vectors={name}={file}" for name, file in data["vectors"].items()]
    kept["column"] = [*vectors, *(options.column or [])]
    return LabelledCatalogOptions(**kept).read(path, like=like)


def _absolute(path: Path | None) -> str | None:
    """An absolute path; URLs and benchmark data sets are as they are."""
    if path is None or not isinstance(path, Path) or not path.exists():
        return None if path is None else str(path)
    return str(path.resolve())
