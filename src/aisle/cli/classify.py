"""`aisle classify` and `aisle show`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console

if TYPE_CHECKING:
    from aisle.decision import Prediction

Run = Annotated[Path, typer.Argument(help="A run's folder, or the model in it.")]
TrustCode = Annotated[bool, typer.Option("--trust-code", help="Allow parts named my_file:Part.")]


def classify(
    run: Run,
    source: flags.Source,
    out: Annotated[Path, typer.Option(help="Where predictions go: .jsonl, .csv or .parquet.")] = Path(
        "predictions.jsonl"
    ),
    trust_code: TrustCode = False,
    device: console.Device = "auto",
    column: flags.ColumnFlag = None,
    columns: flags.ColumnsFlag = None,
    image_root: flags.ImageRootFlag = None,
    delimiter: flags.DelimiterFlag = None,
    encoding: flags.EncodingFlag = None,
    quiet: console.Quiet = False,
    as_json: console.AsJson = False,
) -> None:
    """Say where each row belongs: each row in, one row out, in order."""
    from aisle import workflow
    from aisle.cli.telling import tell
    from aisle.inference.writing import check_ending, write_predictions

    check_ending(out)
    progress = console.progress(quiet or as_json)
    model = workflow.load(run, trust_code=trust_code, device=device)
    catalog = flags.open_catalog(
        source,
        column=column,
        columns=columns,
        image_root=image_root,
        delimiter=delimiter,
        encoding=encoding,
        labels=False,
    )
    tell(catalog, progress)
    tally = Tally()
    with progress("classifying", len(catalog)) as advance:
        written = write_predictions(tally.counted(model.predict_stream(catalog, advance)), out)
    if as_json:
        found = {
            "rows": written,
            "decisions": dict(tally.decisions),
            "rows_with_problems": tally.troubled,
            "predictions": str(out),
            "model_id": model.model_id,
        }
        console.print_json(found)
        return
    tally.show()
    if not model.policy.rules:
        console.say("this model promises nothing, so a person has to look at everything: see `aisle show`")
    console.places(predictions=out)


class Tally:
    """What became of the products of a file, counted while they stream by."""

    meaning: ClassVar = {
        "accept": "placed, full path",
        "partial": "placed in a branch",
        "review": "for a person to look at",
    }

    def __init__(self) -> None:
        self.decisions: Counter[str] = Counter()
        self.branches: Counter[str] = Counter()
        self.troubled = 0

    def counted(self, predictions: "Iterable[Prediction]") -> "Iterator[Prediction]":
        """The same predictions, each counted."""
        for prediction in predictions:
            self.decisions[prediction.decision] += 1
            self.branches[prediction.best[0]] += 1
            self.troubled += bool(prediction.problems)
            yield prediction

    def show(self) -> None:
        """A line a decision, and the categories most answers lie in."""
        rows = sum(self.decisions.values())
        note = f", {self.troubled:,} of them with problems (see `problems`)" if self.troubled else ""
        console.out.print(f"{rows:,} products{note}")
        for decision, meaning in self.meaning.items():
            count = self.decisions[decision]
            share = f"{count / rows:.0%}" if rows else ""
            console.out.print(f"  {decision:<8} {count:>9,}  {share:>4}  {meaning}")
        if rows:
            top = ", ".join(f"{name} {count:,}" for name, count in self.branches.most_common(3))
            console.out.print(f"  best answers mostly in: {top}", markup=False)


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
    from aisle.taxonomy import format_path

    model = workflow.load(run, trust_code=trust_code)
    if not hasattr(model, "spec"):  # exported, or made of several
        _show_made(model, as_json)
        return
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
        console.print_markdown(model_card(model, model.model_id))
        return
    for i, node in enumerate(taxonomy.nodes):
        start, stop = taxonomy.span[i]
        name = f"{'  ' * (len(node.path) - 1)}{node.name}"
        console.out.print(f"{counts[start:stop].sum():>8,}  {name}  [{node.id}]", markup=False)


def _show_made(model: Any, as_json: bool) -> None:
    from aisle.cli import ensemble, export

    describe = ensemble.show if hasattr(model, "members") else export.show
    describe(model, as_json)
