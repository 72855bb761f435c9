"""`aisle index`: builds or changes a search index."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.loading import load_cached
from aisle.cli.options import AsJson, CatalogOptions, Device, Quiet, Run, Source, TrustCode
from aisle.errors import SearchError


@command("index", "Build or change a search index.", section="Search", resumes=True)
def index(
    run: Run,
    source: Source,
    out: Annotated[Path, typer.Option(help="The index folder.")],
    options: CatalogOptions,
    add: Annotated[
        bool, typer.Option("--add", help="Add the file's rows; rows with the same ids are replaced.")
    ] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete the products with the file's ids.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an existing index.")] = False,
    trust_code: TrustCode = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Build an index of a catalog for `aisle search`, or change one. A change is applied whole or not at
    all."""
    from aisle import search
    from aisle.cli.summary import print_catalog_summary
    from aisle.search.manifest import check_vacant

    if add + delete + replace > 1:
        raise SearchError("use one of --add, --delete and --replace")
    if not (add or delete):
        check_vacant(out, replace)
    progress = console.progress(quiet or as_json)
    model = load_cached(run, trust_code, device)
    opened = search.open(out, model) if add or delete else None
    catalog = options.read(source, like=model)
    print_catalog_summary(catalog, progress, None if delete else model)
    deleted = 0
    if opened is None:
        opened = search.build(model, catalog, out, run=run, replace=replace, progress=progress)
    elif delete:
        deleted = opened.delete(product.id for product in catalog)
    else:
        opened.add(catalog.select(~catalog.fatal), progress)
    number = opened.store.version.number
    if as_json:
        console.print_json(
            {
                "products": len(opened),
                "deleted": deleted,
                "version": number,
                "model_id": model.model_id,
                "fields": list(opened.fields),
                "index": str(out),
            }
        )
        return
    note = f", {deleted:,} deleted" if delete else ""
    console.out.print(f"{len(opened):,} products{note}; version {number}, model {model.model_id}")
    if not delete and (bad := int(catalog.fatal.sum())):
        console.out.print(f"{bad:,} faulty rows left out: see `aisle check`")
    next_ = f'{console.command("search", out)} --text "…"'
    console.print_paths(index=out, fields=", ".join(opened.fields), next=next_)
