"""`aisle classify` and `aisle show`."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console
from aisle.decision import Prediction
from aisle.taxonomy import format_path

Run = Annotated[Path, typer.Argument(help="A run's folder, or the model in it.")]
TrustCode = Annotated[bool, typer.Option("--trust-code", help="Allow parts named my_file:Part.")]


def classify(
    run: Run,
    source: flags.Source,
    out: Annotated[Path, typer.Option(help="Where predictions go: .jsonl, .csv or .parquet.")] = Path(
        "predictions.jsonl"
    ),
    trust_code: TrustCode = False,
    column: flags.ColumnFlag = None,
    columns: flags.ColumnsFlag = None,
    image_root: flags.ImageRootFlag = None,
    delimiter: flags.DelimiterFlag = None,
    quiet: console.Quiet = False,
    as_json: console.AsJson = False,
) -> None:
    """Say where each row belongs: each row in, one row out, in order."""
    from aisle import workflow
    from aisle.inference.writing import check_ending, write_predictions

    check_ending(out)
    model = workflow.load(run, trust_code=trust_code)
    catalog = flags.open_catalog(
        source, column=column, columns=columns, image_root=image_root, delimiter=delimiter
    )
    decisions: Counter[str] = Counter()
    branches: Counter[str] = Counter()
    troubled = 0

    def counted(predictions: Iterator[Prediction]) -> Iterator[Prediction]:
        nonlocal troubled
        for prediction in predictions:
            decisions[prediction.decision] += 1
            branches[prediction.best[0]] += 1
            troubled += bool(prediction.problems)
            yield prediction

    progress = console.progress(quiet or as_json)
    with progress("classifying", len(catalog)) as advance:
        written = write_predictions(counted(model.predict_stream(catalog, advance)), out)
    if as_json:
        found = {"rows": written, "decisions": dict(decisions), "rows_with_problems": troubled}
        console.print_json({"predictions": str(out), "model_id": model.model_id, **found})
        return
    shares = ", ".join(f"{decisions[d]:,} {d}" for d in ("accept", "partial", "review"))
    console.out.print(f"{written:,} rows: {shares}; {troubled:,} with problems", markup=False)
    for branch, count in branches.most_common(5):
        console.out.print(f"  {count:>7,}  {branch}", markup=False)
    console.out.print(f"predictions  {out}", markup=False)


def show(
    run: Run,
    tree: Annotated[
        bool, typer.Option("--tree", help="Print the whole tree, with training products.")
    ] = False,
    trust_code: TrustCode = False,
    as_json: console.AsJson = False,
) -> None:
    """What a saved model is: recipe, tree, what was measured, what it promises."""
    from aisle import workflow
    from aisle.inference.card import model_card

    model = workflow.load(run, trust_code=trust_code)
    taxonomy, counts = model.taxonomy, model.context.counts
    if as_json:
        nodes = [
            {"id": n.id, "path": format_path(n.path), "assignable": n.assignable} for n in taxonomy.nodes
        ]
        spec = model.spec.model_dump(mode="json", exclude_none=True)
        found = {"model_id": model.model_id, "network": spec, "results": dict(model.results), "tree": nodes}
        console.print_json(found)
        return
    if not tree:
        console.out.print(model_card(model, model.model_id), markup=False)
        return
    for i, node in enumerate(taxonomy.nodes):
        start, stop = taxonomy.span[i]
        name = f"{'  ' * (len(node.path) - 1)}{node.name}"
        console.out.print(f"{counts[start:stop].sum():>8,}  {name}  [{node.id}]", markup=False)
