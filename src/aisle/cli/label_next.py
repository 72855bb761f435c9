"""`aisle label-next`: chooses the products to label next."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.loading import load_cached
from aisle.cli.options import AsJson, Device, LabelledCatalogOptions, Quiet, Run, Seed, Source, TrustCode

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.inference.label_next import LabelChoice

SUGGESTION = "suggested_category"
REASON = "suggested_category_reason"
_SHOWN = 3  # chosen products on the terminal


class ChoiceMethod(StrEnum):
    """How products are chosen."""

    MIXED = "mixed"
    INFORMATIVE = "informative"
    RANDOM = "random"


@command("label-next", "Choose the products whose labels would help most.", section="Training")
def label_next(
    run: Run,
    source: Source,
    options: LabelledCatalogOptions,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Output file (default: to_label.csv). The rows chosen, with a blank category to fill in, a "
            f"`{SUGGESTION}` and a `{REASON}`: .csv, .tsv, .jsonl or .parquet; .json: tasks of Label Studio, "
            "with their configuration."
        ),
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="Number of products to choose.")] = 200,
    method: Annotated[
        ChoiceMethod,
        typer.Option(
            help="informative: products that stand for many others that the model is unsure of; random: a "
            "random sample, on which the guarantee can be tested; mixed: half of each."
        ),
    ] = ChoiceMethod.MIXED,
    server: Annotated[
        str | None,
        typer.Option(
            "--server", metavar="URL", help="Put the products into the review queue of this server."
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", envvar="AISLE_KEY", help="A key of role reviewer, where the server needs one."),
    ] = None,
    seed: Seed = 0,
    trust_code: TrustCode = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Choose unlabelled products of a catalog to label next. Fill in their categories, and train on them and
    the catalog."""
    from aisle.cli.summary import print_catalog_summary
    from aisle.guarantee import chosen_labels
    from aisle.inference.label_next import choose_to_label

    file = Path("to_label.csv") if out is None and server is None else out
    _check_file(file, None)
    progress = console.progress(quiet or as_json)
    model = load_cached(run, trust_code, device)
    catalog = options.read(source, like=model)
    print_catalog_summary(catalog, progress, model)
    chosen = choose_to_label(model, catalog, k, method.value, seed, progress)
    _check_file(file, catalog)
    files: dict[str, Path] = {}
    if file is not None:
        files = write_choice(model, catalog, chosen, file)
    queued = None if server is None else _enqueue(server, key, catalog, chosen)
    expected = chosen_labels(model.policy, len(chosen.rows), method.value)
    if as_json:
        console.print_json(_as_json(chosen, files, method.value, expected, queued))
        return
    _print_choice(catalog, chosen, expected, queued)
    console.print_paths(**files)


def _check_file(file: Path | None, catalog: "Catalog | None") -> None:
    from aisle.atomic_files import check_parent_folder
    from aisle.data.writing import check_output
    from aisle.errors import CatalogError

    if file is None:
        return
    if file.suffix == ".json":
        check_parent_folder(file, CatalogError)
    else:
        check_output(file, catalog)


def write_choice(model: Any, catalog: "Catalog", chosen: "LabelChoice", out: Path) -> dict[str, Path]:
    """Write the chosen rows as the source has them, with a suggestion, its reason and a column for the label;
    a .json file has tasks of Label Studio.

    Returns:
        The files.
    """
    import numpy as np

    from aisle.data.writing import write_rows
    from aisle.inference import label_studio
    from aisle.taxonomy import format_path

    rows = catalog.select(chosen.rows)
    if out.suffix == ".json":
        label_studio.write_tasks(out, rows, chosen.predictions, reasons=chosen.reasons)
        return {"tasks": out, **label_studio.write_config(out, model.taxonomy)}
    columns = catalog.columns
    blank = np.full(len(chosen.rows), "", dtype=object)
    suggested = np.array([format_path(prediction.best) for prediction in chosen.predictions], dtype=object)
    label = {} if columns.category or columns.levels else {"category": blank}
    reasons = np.array(chosen.reasons, dtype=object)
    write_rows(rows, out, {**label, SUGGESTION: suggested, REASON: reasons})
    return {"file": out}


def _enqueue(server: str, key: str | None, catalog: "Catalog", chosen: "LabelChoice") -> int:
    """Put the products into a server's queue, those that teach most per minute first."""
    from aisle.cli.store import check_serve_installed

    check_serve_installed()
    from aisle.server.client import Client

    # The server orders its queue by priority times the chance of an error.
    wrong = [max(1 - one.confidence[-1], 1e-6) for one in chosen.predictions]
    priorities = [float(value) / chance for value, chance in zip(chosen.value, wrong, strict=True)]
    with Client(server, key, timeout=600) as client:
        return client.enqueue(catalog.select(chosen.rows), priorities)


def _as_json(
    chosen: "LabelChoice", files: dict[str, Path], method: str, expected: str, queued: int | None
) -> dict[str, Any]:
    products = [
        {
            "row": int(row),
            "id": one.id,
            "suggested": one.to_dict()["best"],
            "confidence": round(one.confidence[-1], 6),
            "gain": round(float(gain), 4),
            "stands_for": int(many),
            "minutes": round(float(minutes), 3),
            "reason": reason,
        }
        for row, one, gain, many, minutes, reason in zip(
            chosen.rows,
            chosen.predictions,
            chosen.gain,
            chosen.stands_for,
            chosen.minutes,
            chosen.reasons,
            strict=True,
        )
    ]
    return {
        **{name: str(path) for name, path in files.items()},
        "method": method,
        "rows": [int(row) for row in chosen.rows],
        "products": products,
        "unlabelled": chosen.unlabelled,
        "expected_errors": round(chosen.expected_errors, 3),
        "expected_gain": expected,
        "minutes": round(float(chosen.minutes.sum()), 1),
        "queued": queued,
    }


def _print_choice(catalog: "Catalog", chosen: "LabelChoice", expected: str, queued: int | None) -> None:
    from aisle.taxonomy import format_path

    console.out.print(
        f"{len(chosen.rows):,} of {chosen.unlabelled:,} unlabelled products chosen; about "
        f"{chosen.expected_errors:,.0f} of the suggested categories are wrong; labelling takes about "
        f"{chosen.minutes.sum():,.0f} minutes"
    )
    for row, one, reason in zip(chosen.rows[:_SHOWN], chosen.predictions, chosen.reasons, strict=False):
        title = catalog[int(row)].fields.get("title", one.id) or one.id
        console.out.print(
            f"  {console.printable(title[:60])} → {console.printable(format_path(one.best))}", markup=False
        )
        console.out.print(f"    {console.printable(reason)}", style="dim", markup=False)
    console.out.print(expected, markup=False)
    if queued is not None:
        console.out.print(f"{queued:,} products are in the review queue")
