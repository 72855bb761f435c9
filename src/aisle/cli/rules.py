"""`aisle rules`: tests rules on a catalog, and stores them with a model."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import console
from aisle.cli.command import command, group
from aisle.cli.options import AsJson, CatalogOptions, Device, Quiet, Run, Source, TrustCode
from aisle.errors import AisleError

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.rules.report import RulesReport

group("rules", "Test rules, and store them with a model.", section="Classification")

File = Annotated[Path, typer.Argument(metavar="FILE.toml", help="The rules.")]


@command("rules test", "Show what each rule does to a catalog.", section="Classification")
def compare(
    file: File,
    run: Run,
    source: Source,
    options: CatalogOptions,
    trust_code: TrustCode = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Show for each rule how many products it touches, how it agrees with labels and with the model, and
    which rules contradict or shadow each other, have expired or no longer do anything."""
    from aisle import workflow
    from aisle.cli.summary import print_catalog_summary
    from aisle.rules.report import check_rules

    progress = console.progress(quiet or as_json)
    model = workflow.load(run, trust_code=trust_code, device=device, rules="none")
    catalog = options.read(source, like=model)
    ruled = model.with_rules(file, catalog.fields)
    assert ruled.rules is not None
    print_catalog_summary(catalog, progress, model)
    with progress("testing rules", len(catalog)) as advance:
        predictions = model.predict_stream(catalog)
        final = ruled.predict_stream(catalog, advance)
        rows = zip(catalog, _files(catalog), _labels(model, catalog), predictions, final, strict=True)
        report = check_rules(ruled.rules.on(model.taxonomy), rows)
    if as_json:
        console.print_json(report.to_dict())
        return
    _print(report)


def _files(catalog: "Catalog") -> list[str]:
    from aisle.inference.batches import file_names

    return file_names(catalog, 0, len(catalog))


def _labels(model: Any, catalog: "Catalog") -> Iterator[Any]:
    """The labels of a catalog in the model's tree; None where there is none."""
    from aisle.inference.label_targets import targets_in

    if not catalog.labelled:
        return iter([None] * len(catalog))
    nodes = targets_in(model.taxonomy, catalog).node.tolist()
    return (model.taxonomy.nodes[node].path if node >= 0 else None for node in nodes)


def _print(report: "RulesReport") -> None:
    from rich.table import Table

    console.out.print(
        f"{report.products:,} products; rules touch {report.touched:,} and decide {report.decided:,} of them"
    )
    table = Table(box=None, pad_edge=False)
    for name in ("rule", "action", "touches", "acts", "changes", "labels\nagree", "model\nagrees"):
        table.add_column(name, justify="left" if name in ("rule", "action") else "right", overflow="fold")
    for rule in report.rules:
        labels = f"{rule.right:,} of {rule.labelled:,}" if rule.labelled else "–"
        table.add_row(
            console.printable(rule.id),
            rule.action,
            *(f"{number:,}" for number in (rule.touched, rule.acted, rule.changed)),
            labels,
            f"{rule.agreed:,}",
        )
    console.out.print(table, markup=False)
    say = console.out.print
    for finding in dict.fromkeys(finding for rule in report.rules for finding in rule.findings):
        say(
            f"{finding}: {', '.join(rule.id for rule in report.rules if finding in rule.findings)}",
            markup=False,
        )
    for rule in report.rules:
        for example in rule.wrong:
            product = f"{example['id']} {example['title']!r}"
            say(f"  {rule.id} contradicts {product}: {example['label']}", markup=False)
        if "shadowed" in rule.findings and rule.shadowed_by:
            say(f"  {rule.id} never acts: {', '.join(rule.shadowed_by)} acts first", markup=False)
    for clash in report.conflicts:
        examples = ", ".join(clash.examples)
        say(
            f"  {clash.wins} and {clash.loses} contradict each other on {clash.products:,} products "
            f"({examples}); {clash.wins} acts",
            markup=False,
        )


@command("rules set", "Store rules with a model.", section="Classification")
def set_rules(
    run: Run,
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The rules; `none` removes them.")],
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Store rules with a model, so that every prediction follows them: `aisle classify`, `aisle serve`,
    Python. List files are stored too. Earlier rules are saved next to the run."""
    from aisle import workflow
    from aisle.inference.bundle import set_rules

    model = workflow.load(run, trust_code=trust_code)
    before, model = model.rules, workflow.load(run, trust_code=trust_code, rules=file)
    kept = _keep(run, before.to_json()) if before is not None else None
    set_rules(run, model.rules)
    rules = () if model.rules is None else model.rules.rules
    digest = None if model.rules is None else model.rules.digest
    if as_json:
        console.print_json({"rules": len(rules), "version": digest, "before": kept and str(kept)})
        return
    console.out.print("no rules" if model.rules is None else str(model.rules), markup=False)
    console.print_paths(**({"before": kept} if kept else {}))


def _keep(run: Path, text: str) -> Path:
    """Write earlier rules to the first free `rules-N.json` in the run's parent folder."""
    folder = run.absolute()
    file = next(
        path for n in count(1) if not (path := folder.with_name(f"{folder.name}.rules-{n}.json")).exists()
    )
    file.write_text(text, "utf-8")
    return file


@command("rules show", "Print the rules of a model.", section="Classification")
def show(run: Run, trust_code: TrustCode = False, as_json: AsJson = False) -> None:
    """Print the rules that are stored with a model."""
    from aisle import workflow

    rules = workflow.load(run, trust_code=trust_code).rules
    if rules is None:
        raise AisleError(f"{run} has no rules: see `aisle rules set`")
    if as_json:
        result = {"version": rules.digest, "text": rules.text, "lists": dict(rules.lists)}
        console.print_json({**result, "expired": rules.expired})
        return
    console.out.print(rules.text, markup=False, highlight=False)
