"""`aisle export`: a trained model for CPUs without torch."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console
from aisle.errors import AisleError

if TYPE_CHECKING:
    from aisle.catalog import Catalog


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
    from aisle.inference.onnx.export import Asked
    from aisle.inference.onnx.export import export as write

    folder = out or run / ("onnx-int8" if int8 else "onnx")
    check_vacant(folder)
    progress = console.progress(quiet or as_json)
    model: Any = workflow.load(run, trust_code=trust_code)
    if not hasattr(model, "spec"):
        raise ExportUseError(
            f"{run} is no single network: export the models it was made of, or the one it was exported from"
        )
    given = {"column": column, "columns": columns, "image_root": image_root, "delimiter": delimiter}
    catalog = rows_of(run, source, **given, encoding=encoding, date_format=date_format)
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
    console.places(model=folder, next=f"aisle classify {folder} NEW.csv --out predictions.csv")


def judged_on(catalog: "Catalog") -> "Catalog":
    """Rows to choose by: none marked `test`, where there are others."""
    from aisle import workflow

    rows = workflow.part(catalog, "train")
    return rows if len(rows) else catalog


def show(model: Any, as_json: bool) -> None:
    """What `aisle show` says of an exported model."""
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


CATALOGUE = "catalogue.json"


def remember(run: Path, source: Path, **given: Any) -> None:
    """Note in a run's folder where its rows came from, for commands that need them again."""
    said = {
        key: [str(one) for one in value] if isinstance(value, list) else value and str(value)
        for key, value in given.items()
    }
    where = str(source) if "://" in str(source) else str(source.resolve())
    (run / CATALOGUE).write_text(json.dumps({"source": where, **said}, indent=1))


def rows_of(run: Path, source: Path | None, **given: Any) -> "Catalog":
    """The rows that are named, or those that a run learned from, where they are still there."""
    if source is not None:
        return flags.open_catalog(source, **given)
    file = run / CATALOGUE
    try:
        said = json.loads(file.read_text())
    except (OSError, ValueError):
        raise ExportUseError(
            f"{run} does not say which catalogue it learned from: name one, aisle export {run} FILE --onnx"
        ) from None
    where = Path(said.pop("source"))
    if not where.exists():
        raise ExportUseError(
            f"{where}, which {run} learned from, is not there any more: name another file of labelled rows"
        )
    paths = {key: Path(said[key]) for key in ("taxonomy", "columns", "image_root") if said.get(key)}
    return flags.open_catalog(where, **(said | paths | {k: v for k, v in given.items() if v}))
