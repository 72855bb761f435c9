"""`aisle export-tasks`: writes tasks with pre-annotations for Label Studio."""

from pathlib import Path
from typing import Annotated

import typer

from aisle.atomic_files import check_parent_folder
from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson, CatalogOptions, Device, Quiet, Run, Source, TrustCode
from aisle.errors import AisleError, CatalogError


@command("export-tasks", "Write pre-annotated tasks (Label Studio, Prodigy).", section="Classification")
def export_tasks(
    run: Run,
    source: Source,
    options: CatalogOptions,
    out: Annotated[Path, typer.Option(help="Output file (.json; .jsonl for Prodigy).")],
    decision: Annotated[
        list[str] | None,
        typer.Option(help="Only products with this decision: accept, partial or review. Repeatable."),
    ] = None,
    choices_url: Annotated[
        str | None,
        typer.Option(
            help="Where browsers load OUT.choices.json from (default: the tree is part of the configuration)."
        ),
    ] = None,
    trust_code: TrustCode = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write tasks for Label Studio, its labeling configuration (OUT.xml) and the tree as an external JSON of
    choices (OUT.choices.json). The best category is the pre-annotation, its confidence the score. A .jsonl
    has tasks for Prodigy's interface `choice`: the likeliest categories, the best one chosen."""
    from aisle import workflow
    from aisle.cli.summary import print_catalog_summary
    from aisle.inference import label_studio
    from aisle.inference.label_studio.config import MAX_INLINE

    decisions = tuple(decision or ())
    if unknown := set(decisions) - {"accept", "partial", "review"}:
        raise AisleError(f"--decision {min(unknown)}: use accept, partial or review")
    if out.suffix not in (".json", ".jsonl"):
        raise AisleError(f"{out}: name a file ending in .json for Label Studio, or in .jsonl for Prodigy")
    check_parent_folder(out, CatalogError)
    progress = console.progress(quiet or as_json)
    model = workflow.load(run, trust_code=trust_code, device=device)
    catalog = options.read(source, labels=False, like=model)
    print_catalog_summary(catalog, progress, model)
    with progress("classifying", len(catalog)) as advance:
        predictions = model.predict_stream(catalog, advance)
        written = label_studio.write_tasks(out, catalog, predictions, decisions)
    if out.suffix == ".jsonl":
        _say(as_json, written, len(catalog), model.model_id, {"tasks": out})
        return
    files = label_studio.write_config(out, model.taxonomy, choices_url)
    _say(as_json, written, len(catalog), model.model_id, {"tasks": out, **files})
    if as_json:
        return
    if choices_url is None and len(model.taxonomy) > MAX_INLINE:
        console.say(
            f"{len(model.taxonomy):,} categories in one configuration are slow in browsers: put "
            f"{files['choices']} where they can load it, and give its address as --choices-url"
        )


def _say(as_json: bool, written: int, products: int, model_id: str, files: dict[str, Path]) -> None:
    from aisle.cli.summary import count

    if as_json:
        paths = {name: str(path) for name, path in files.items()}
        console.print_json({"written": written, **paths, "model_id": model_id})
        return
    console.out.print(f"{count(written, 'task')} of {count(products, 'product')}")
    console.print_paths(**files)
