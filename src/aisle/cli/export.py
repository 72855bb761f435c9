"""`aisle export`: writes a network as ONNX graphs, or its encoders as Transformers folders."""

from pathlib import Path
from typing import Annotated, Any

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson, CatalogOptions, Quiet, Run, TrustCode
from aisle.cli.run_source import read_run_source
from aisle.errors import AisleError


@command("export", "Write a network as ONNX graphs, or its encoders.", section="Training")
def export(
    run: Run,
    options: CatalogOptions,
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Labelled rows to compare both models on, and to calibrate int8 with (default: the training "
            "catalog).",
        ),
    ] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write ONNX for onnxruntime.")] = False,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Quantise encoders to 8-bit integers, calibrated on the rows of FILE."),
    ] = False,
    max_loss: Annotated[
        float, typer.Option(help="Accuracy that --int8 may lose at most, in points (paired interval).")
    ] = 0.5,
    force: Annotated[bool, typer.Option("--force", help="Write it even if --int8 loses more.")] = False,
    encoders: Annotated[
        bool,
        typer.Option(
            "--encoders", help="Write the pretrained encoders, as trained, as Transformers folders."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Output folder (default: RUN/onnx, RUN/onnx-int8 or RUN/encoders)."),
    ] = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write a model that runs on CPUs without torch. It is compared with the original on real rows first."""
    if encoders and not (onnx or int8):
        _write_encoders(run, out or run / "encoders", trust_code, as_json)
        return
    if encoders or not (onnx or int8):
        raise AisleError("name the format: --onnx, or --encoders")
    from aisle import workflow
    from aisle.inference.folder import check_vacant
    from aisle.inference.known_columns import check_columns

    folder = out or run / ("onnx-int8" if int8 else "onnx")
    check_vacant(folder)
    progress = console.progress(quiet or as_json)
    model: Any = workflow.load(run, trust_code=trust_code)
    if not hasattr(model, "spec"):
        raise AisleError(
            f"{run} is not a single network: export its members, or the model it was exported from"
        )
    if getattr(model.spec, "family", "network") == "linear":
        raise AisleError(f"{run} is a linear model, which already runs without torch: use it as it is")
    catalog = read_run_source(run, source, options, model)
    check_columns(model, catalog)
    from aisle.inference.onnx.export import ExportOptions
    from aisle.inference.onnx.export import export as write

    rows = workflow.rows_to_choose_on(catalog)
    exported = write(model, rows, folder, ExportOptions(int8, max_loss, force), progress)
    if as_json:
        measured = exported.predictor.results["exported"]
        console.print_json({"model": str(folder), "model_id": exported.predictor.model_id, **measured})
        return
    parity = exported.parity
    console.out.print(
        f"on {parity.rows:,} rows, log-probabilities differ by at most {parity.difference:.1g}; "
        f"{parity.agreement:.1%} of the best predictions are equal"
    )
    if exported.cost is not None:
        console.out.print(f"int8 loses {exported.cost}")
    if int8 and not exported.predictor.policy.curve:
        console.say("no guarantee yet: run `aisle calibrate` with labelled rows")
    next_ = console.command("classify", folder, "NEW.csv", "--out", "predictions.csv")
    console.print_paths(model=folder, next=next_)


def _write_encoders(run: Path, folder: Path, trust_code: bool, as_json: bool) -> None:
    from aisle import workflow

    model = workflow.load(run, trust_code=trust_code)
    from aisle.inference.encoder_folders import export_encoders

    folders = {name: str(path) for name, path in export_encoders(model, folder).items()}
    if as_json:
        console.print_json(folders)
        return
    console.print_paths(**folders)
