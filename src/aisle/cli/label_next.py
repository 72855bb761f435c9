"""`aisle label-next`: chooses the products to label next."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.loading import load_cached
from aisle.cli.options import AsJson, Device, LabelledCatalogOptions, Quiet, Run, Seed, Source, TrustCode

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.inference.label_next import LabelChoice

SUGGESTION = "suggested_category"


class ChoiceMethod(StrEnum):
    """How products are chosen."""

    MIXED = "mixed"
    UNCERTAIN = "uncertain"
    RANDOM = "random"


@command("label-next", "Choose the products whose labels would help most.", section="Training")
def label_next(
    run: Run,
    source: Source,
    options: LabelledCatalogOptions,
    out: Annotated[
        Path,
        typer.Option(
            help="Output file: the rows chosen, with a blank category to fill in and a `suggested_category`: "
            ".csv, .tsv, .jsonl or .parquet."
        ),
    ] = Path("to_label.csv"),
    k: Annotated[int, typer.Option("--k", min=1, help="Number of products to choose.")] = 200,
    method: Annotated[
        ChoiceMethod,
        typer.Option(
            help="uncertain: products that the model is unsure of and that differ from each other; random: a "
            "random sample, on which the guarantee can be tested; mixed: half of each."
        ),
    ] = ChoiceMethod.MIXED,
    seed: Seed = 0,
    trust_code: TrustCode = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Choose unlabelled products of a catalog to label next. Fill in their categories, and train on them and
    the catalog."""
    from aisle.cli.summary import print_catalog_summary
    from aisle.data.writing import check_output
    from aisle.guarantee import chosen_labels
    from aisle.inference.label_next import choose_to_label

    check_output(out)
    progress = console.progress(quiet or as_json)
    model = load_cached(run, trust_code, device)
    catalog = options.read(source, like=model)
    print_catalog_summary(catalog, progress, model)
    chosen = choose_to_label(model, catalog, k, method.value, seed, progress)
    check_output(out, catalog)
    write_choice(catalog, chosen, out)
    expected = chosen_labels(model.policy, len(chosen.rows), method.value)
    if as_json:
        rows = {"file": str(out), "method": method.value, "rows": [int(row) for row in chosen.rows]}
        errors = {"unlabelled": chosen.unlabelled, "expected_errors": round(chosen.expected_errors, 3)}
        console.print_json({**rows, **errors, "expected_gain": expected})
        return
    console.out.print(
        f"{len(chosen.rows):,} of {chosen.unlabelled:,} unlabelled products chosen; about "
        f"{chosen.expected_errors:,.0f} of the suggested categories are wrong"
    )
    console.out.print(expected, markup=False)
    console.print_paths(file=out)


def write_choice(catalog: "Catalog", chosen: "LabelChoice", out: Path) -> None:
    """Write the rows chosen as the source has them, with a suggestion, and a column for the label."""
    import numpy as np

    from aisle.data.writing import write_rows
    from aisle.taxonomy import format_path

    columns = catalog.columns
    blank = np.full(len(chosen.rows), "", dtype=object)
    suggested = np.array([format_path(prediction.best) for prediction in chosen.predictions], dtype=object)
    label = {} if columns.category or columns.levels else {"category": blank}
    write_rows(catalog.select(chosen.rows), out, {**label, SUGGESTION: suggested})
