"""`aisle export`: a trained model for CPUs without torch."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console
from aisle.errors import AisleError

if TYPE_CHECKING:
    from aisle.data import Catalog


class ExportUseError(AisleError):
    """An export is asked for that cannot be."""


def export(
    run: Annotated[Path, typer.Argument(help="A run's folder, or the model in it.")],
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Labelled rows to compare the two on, and to quantise by (default: the catalogue it "
            "learned from).",
        ),
    ] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="For onnxruntime.")] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Encoders in 8-bit integers, calibrated on the rows of FILE.")
    ] = False,
    cost: Annotated[
        float, typer.Option(help="Points of accuracy that --int8 may cost at most (paired interval).")
    ] = 0.5,
    force: Annotated[bool, typer.Option("--force", help="Write it whatever --int8 costs.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where the exported model goes (default: RUN/onnx, RUN/onnx-int8).")
    ] = None,
    trust_code: console.TrustCode = False,
    column: flags.ColumnFlag = None,
    columns: flags.ColumnsFlag = None,
    image_root: flags.ImageRootFlag = None,
    max_expanded: flags.MaxExpandedFlag = None,
    delimiter: flags.DelimiterFlag = None,
    encoding: flags.EncodingFlag = None,
    date_format: flags.DateFormatFlag = None,
    quiet: console.Quiet = False,
    as_json: console.AsJson = False,
) -> None:
    """Write a model that answers on CPUs without torch, once it is seen to answer alike on real rows."""
    if not (onnx or int8):
        raise ExportUseError("say what to export to: --onnx")
    from aisle import workflow
    from aisle.inference.folder import check_vacant
    from aisle.inference.known_columns import check_columns

    folder = out or run / ("onnx-int8" if int8 else "onnx")
    check_vacant(folder)
    progress = console.progress(quiet or as_json)
    model: Any = workflow.load(run, trust_code=trust_code)
    if not hasattr(model, "spec"):
        raise ExportUseError(
            f"{run} is no single network: export the models it was made of, or the one it was exported from"
        )
    if getattr(model.spec, "family", "network") == "linear":
        raise ExportUseError(f"{run} is a linear model and already answers without torch: use it as it is")
    given = {"column": column, "columns": columns, "image_root": image_root, "delimiter": delimiter}
    given |= {"max_expanded": max_expanded, "encoding": encoding, "date_format": date_format, "like": model}
    catalog = rows_of(run, source, **given)
    check_columns(model, catalog)
    from aisle.inference.onnx.export import Asked
    from aisle.inference.onnx.export import export as write

    made = write(model, judged_on(catalog), folder, Asked(int8, cost, force), progress)
    said = made.predictor.results["exported"]
    if as_json:
        console.print_json({"model": str(folder), "model_id": made.predictor.model_id, **said})
        return
    parity = made.parity
    console.out.print(
        f"on {parity.rows:,} rows log-probabilities differ by {parity.difference:.1g} at most, "
        f"best answers agree on {parity.agreement:.1%}"
    )
    if made.cost is not None:
        console.out.print(f"int8 costs {made.cost}")
    if int8 and not made.predictor.policy.rules:
        console.say("it promises nothing yet: `aisle calibrate` it on labelled rows")
    console.places(
        model=folder, next=console.command("classify", folder, "NEW.csv", "--out", "predictions.csv")
    )


def judged_on(catalog: "Catalog") -> "Catalog":
    """Rows to choose by: none marked `test`, where there are others."""
    from aisle import workflow

    rows = workflow.part(catalog, "train")
    return rows if len(rows) else catalog


def show(model: Any, as_json: bool) -> None:
    """What `aisle info` says of an exported model."""
    said = model.results.get("exported", {})
    if as_json:
        found = {"model_id": model.model_id, "network": dict(model.network), "results": dict(model.results)}
        console.print_json(found)
        return
    card = model.files / "README.md"
    if card.exists():
        console.print_markdown(card.read_text())
    console.out.print(
        f"Exported to ONNX as {model.model_id}, {said.get('precision', '?')}: answers without torch, on CPUs."
    )


SOURCE = "source.json"


def remember(
    run: Path, source: Path, taxonomy: Path | None, image_root: Path | None, vectors: dict[str, str]
) -> None:
    """Note in a run's folder where its rows came from, for commands that need them again. A pipe is gone."""
    from aisle.data.pipes import is_pipe

    if is_pipe(source):
        return
    said = {"source": _absolute(source), "taxonomy": _absolute(taxonomy), "image_root": _absolute(image_root)}
    said |= {"vectors": {name: _absolute(Path(file)) for name, file in vectors.items()}}
    (run / SOURCE).write_text(json.dumps(said, ensure_ascii=False, indent=1), "utf-8")


def _absolute(path: Path | None) -> str | None:
    """From anywhere; addresses and contests are as they are."""
    if path is None or not isinstance(path, Path) or not path.exists():
        return None if path is None else str(path)
    return str(path.resolve())


def rows_of(run: Path, source: Path | None, **given: Any) -> "Catalog":
    """The rows that are named, or those that a run learned from, where they are still there."""
    if source is not None:
        return flags.open_catalog(source, **given)
    from aisle.data.benchmark_datasets import parse_contest

    home = run.parent if run.name == "model" and not (run / SOURCE).exists() else run
    try:
        said = json.loads((home / SOURCE).read_text("utf-8"))
    except (OSError, ValueError):
        raise ExportUseError(
            f"{run} does not say which catalogue it learned from: name one, aisle export {run} FILE --onnx"
        ) from None
    where = flags.place(said["source"])
    if isinstance(where, Path) and not where.exists() and parse_contest(where) is None:
        raise ExportUseError(
            f"{where}, which {run} learned from, is not there any more: name another file of labelled rows"
        )
    known = ("taxonomy", "image_root")
    kept: dict[str, Any] = {key: flags.place(said[key]) for key in known if said.get(key)}
    vectors = [f"vectors={name}={file}" for name, file in said["vectors"].items()]
    given["column"] = [*vectors, *(given.get("column") or [])]
    return flags.open_catalog(where, **(kept | {k: v for k, v in given.items() if v}))
