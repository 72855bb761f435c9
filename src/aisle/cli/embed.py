"""`aisle embed`: writes the embeddings of products to a file."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.loading import load_cached
from aisle.cli.options import AsJson, CatalogOptions, Device, Quiet, Run, Source, TrustCode


@command("embed", "Write the embeddings of products to a file.", section="Search", resumes=True)
def embed(
    run: Run,
    source: Source,
    options: CatalogOptions,
    out: Annotated[
        Path, typer.Option(help="Output file: .parquet (id, vector) or .npz (ids, vectors).")
    ] = Path("vectors.parquet"),
    trust_code: TrustCode = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write each product's embedding by the classifier: one row in, one row out, in order."""
    from aisle.cli.summary import print_catalog_summary
    from aisle.search.embedding import check_out, write_vectors

    check_out(out)
    progress = console.progress(quiet or as_json)
    model = load_cached(run, trust_code, device)
    catalog = options.read(source, like=model)
    print_catalog_summary(catalog, progress, model)
    rows, dim = write_vectors(model, catalog, out, progress)
    if as_json:
        console.print_json({"rows": rows, "dim": dim, "vectors": str(out), "model_id": model.model_id})
        return
    console.out.print(
        f"{rows:,} vectors of {dim:,} dimensions, normalised to length 1 (zeros: the product has no view)"
    )
    console.print_paths(vectors=out)
