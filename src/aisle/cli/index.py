"""`aisle embed` and `aisle index`: products as vectors in a file, and as an index to search in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console
from aisle.errors import SearchError

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.inference.predictor import Predictor
    from aisle.progress import Progress

Run = Annotated[Path, typer.Argument(help="A run's folder, or the model in it.")]


def embed(
    run: Run,
    source: flags.Source,
    out: Annotated[
        Path, typer.Option(help="Where vectors go: .parquet (id, vector) or .npz (ids, vectors).")
    ] = Path("vectors.parquet"),
    trust_code: console.TrustCode = False,
    device: console.Device = "auto",
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
    """Write each row's vector, by the model that classifies: each row in, one row out, in order."""
    from aisle.cli.interrupts import continue_with, same_command

    continue_with(same_command)  # also while libraries are imported
    from aisle.search.embedding import check_out, write_vectors

    check_out(out)
    progress = console.progress(quiet or as_json)
    model = _model(run, trust_code, device)
    given = {
        "column": column, "columns": columns, "image_root": image_root, "max_expanded": max_expanded,
        "delimiter": delimiter, "encoding": encoding, "date_format": date_format,
    }  # fmt: skip
    catalog = _catalog(model, source, progress, given)
    rows, dim = write_vectors(model, catalog, out, progress)
    if as_json:
        console.print_json({"rows": rows, "dim": dim, "vectors": str(out), "model_id": model.model_id})
        return
    console.out.print(
        f"{rows:,} vectors of {dim:,} numbers, of length 1 (zeros: nothing was known of the product)"
    )
    console.places(vectors=out)


def index(
    run: Run,
    source: flags.Source,
    out: Annotated[Path, typer.Option(help="The index: a folder.")],
    add: Annotated[
        bool, typer.Option("--add", help="Insert the file's rows, in place of those with their ids.")
    ] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Take the products of the file's ids out.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Make an index that is there anew.")] = False,
    trust_code: console.TrustCode = False,
    device: console.Device = "auto",
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
    """Make an index of a catalogue for `aisle search`, or change one: whole, or as it was."""
    from aisle.cli.interrupts import continue_with, same_command

    continue_with(same_command)  # also while libraries are imported
    from aisle import search
    from aisle.search.manifest import check_vacant

    if add + delete + replace > 1:
        raise SearchError("say one of --add, --delete and --replace")
    if not (add or delete):
        check_vacant(out, replace)
    progress = console.progress(quiet or as_json)
    model = _model(run, trust_code, device)
    if add or delete:
        opened = search.open(out, model)
    given = {
        "column": column, "columns": columns, "image_root": image_root, "max_expanded": max_expanded,
        "delimiter": delimiter, "encoding": encoding, "date_format": date_format,
    }  # fmt: skip
    catalog = _catalog(model, source, progress, given, known=not delete)
    gone = 0
    if delete:
        gone = opened.delete(product.id for product in catalog)
    elif add:
        opened.add(catalog.select(~catalog.fatal), progress)
    else:
        opened = search.build(model, catalog, out, run=run, replace=replace, progress=progress)
    told = {
        "products": len(opened),
        "deleted": gone,
        "version": opened.store.version.number,
        "model_id": model.model_id,
        "fields": list(opened.fields),
        "index": str(out),
    }
    if as_json:
        console.print_json(told)
        return
    note = f", {gone:,} taken out" if delete else ""
    number = opened.store.version.number
    console.out.print(f"{len(opened):,} products{note}; version {number}, made by model {model.model_id}")
    if not delete and (bad := int(catalog.fatal.sum())):
        console.out.print(f"{bad:,} faulty rows left out: see `aisle check`")
    search_for = f'{console.command("search", out)} --text "…"'
    console.places(index=out, fields=", ".join(opened.fields), next=search_for)


def _model(run: Path, trust_code: bool, device: str) -> "Predictor":
    from aisle import workflow
    from aisle.models.features import FeatureStore

    model = workflow.load(run, trust_code=trust_code, device=device)
    return model.with_store(model.store or FeatureStore())  # what training has encoded is not encoded again


def _catalog(
    model: "Predictor", source: Path, progress: "Progress", given: dict[str, Any], known: bool = True
) -> "Catalog":
    """known: some row must have something that the model reads."""
    from aisle.cli.summary import tell

    catalog = flags.open_catalog(source, **given, like=model)
    tell(catalog, progress, model if known else None)
    return catalog
