"""`aisle info`: describes a saved model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.curve import print_curve, print_instead
from aisle.cli.options import AsJson, Run, TrustCode

if TYPE_CHECKING:
    from aisle.inference.ensemble import Ensemble


@command("info", "Describe a saved model and its accuracy.", section="Evaluation")
def info(
    run: Run,
    tree: Annotated[
        bool, typer.Option("--tree", help="Print the whole tree, with the number of training products.")
    ] = False,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Describe a saved model: recipe, tree, metrics and guarantee."""
    from aisle import workflow
    from aisle.guarantee import summarize_curve

    model: Any = workflow.load(run, trust_code=trust_code)
    if as_json:
        curve = summarize_curve(model.policy).to_dict()
        described = {**_described(model), "rules": _rules(model)}
        console.print_json({"model_id": model.model_id, **described, "operating_curve": curve})
        return
    _print_model(model, run, tree)


def _rules(model: Any) -> dict[str, Any] | None:
    """The rules that act on a model's predictions, as JSON data."""
    rules = model.rules
    if rules is None:
        return None
    return {"rules": len(rules.rules), "version": rules.digest, "expired": rules.expired}


def _print_rules(model: Any) -> None:
    if model.rules is not None:
        console.out.print(model.rules.statement, markup=False)


def _print_model(model: Any, run: Path, tree: bool) -> None:
    from aisle.guarantee import summarize_curve
    from aisle.inference.training_counts import training_counts

    if hasattr(model, "members") or hasattr(model, "cheap"):
        _print_combination(model, run)
        _print_rules(model)
        return
    taxonomy = model.taxonomy
    if model.runtime == "migrated" and not tree:
        _print_migrated(model, run)
        _print_rules(model)
        return
    if not tree:
        console.print_markdown(_card(model))
        print_instead(summarize_curve(model.policy), run)
        return
    for count, node in zip(training_counts(model).tolist(), taxonomy.nodes, strict=True):
        name = f"{'  ' * (len(node.path) - 1)}{node.name}"
        console.out.print(f"{count:>8,}  {name}  [{node.id}]", markup=False)


def _described(model: Any) -> dict[str, Any]:
    """The data that only this kind of model has, as JSON."""
    from aisle.taxonomy import format_path

    results = {"results": dict(model.results)}
    if hasattr(model, "members"):
        members = [member.model_id for member in model.members]
        return {"members": members, "weights": model.weights.tolist(), **results}
    if hasattr(model, "cheap"):
        return {"stages": model.stages, **results}
    if model.runtime == "migrated":
        return {"migrated_from": model.earlier.model_id, **results}
    if not hasattr(model, "spec"):
        return {"network": dict(model.network), **results}
    taxonomy = model.taxonomy
    nodes = [{"id": n.id, "path": format_path(n.path), "assignable": n.assignable} for n in taxonomy.nodes]
    spec = model.spec.model_dump(mode="json", exclude_none=True)
    return {"network": spec, **results, "tree": nodes}


def _print_combination(model: Any, run: Path) -> None:
    if hasattr(model, "members"):
        console.out.print(f"ensemble {model.model_id} of {len(model.members)} models")
        print_ensemble(model, run)
        return
    stages = " and ".join(stage.model_id for stage in model.models)
    console.out.print(f"cascade {model.model_id} of {stages}")
    print_cascade(model, run)


def _print_migrated(model: Any, run: Path) -> None:
    old, new = model.earlier.taxonomy, model.taxonomy
    console.out.print(f"model {model.model_id}, moved from {model.earlier.model_id} to another tree")
    console.out.print(f"{len(old.terminals):,} categories before, {len(new.terminals):,} now")
    counts = ", ".join(f"{count:,} {kind}" for kind, count in model.results.get("changes", {}).items())
    console.out.print(counts)
    if model.policy.curve:
        print_curve(model.policy, run)
    else:
        console.say("no guarantee yet: run `aisle calibrate` with labelled rows that the model has not seen")


def _card(model: Any) -> str:
    from aisle.inference.card import model_card

    if hasattr(model, "spec"):
        return model_card(model, model.model_id)
    card = (model.files / "README.md").read_text()
    precision = model.results.get("exported", {}).get("precision", "?")
    return f"{card}\nExported to ONNX as {model.model_id}, {precision}: runs on CPUs without torch.\n"


def print_ensemble(ensemble: "Ensemble", run: Path) -> None:
    """Print an ensemble's members, their weights, their accuracy and the operating curve."""
    accuracy = ensemble.results.get("out_of_fold", {})
    counts = ensemble.results.get("importances") or dict(
        zip(ensemble.names, ensemble.weights.tolist(), strict=True)
    )
    for name, value in counts.items():
        right = f", out-of-fold accuracy {accuracy[name]:.1%}" if name in accuracy else ""
        console.out.print(f"{value:>6.1%}  {name}{right}", markup=False)
    if "mean" in accuracy:
        console.out.print(f"their average: out-of-fold accuracy {accuracy['mean']:.1%}")
    if ensemble.policy.curve:
        print_curve(ensemble.policy, run)
    else:
        console.say("no guarantee yet: give --on with rows that no model saw, or run `aisle calibrate`")


def print_cascade(model: Any, run: Path) -> None:
    """Print each stage's share of products and time, what accuracy the cascade loses, and its curve."""
    from aisle.inference.holdout import Cost

    measured = model.results["cascade"]
    width = max(len(stage["name"]) for stage in measured["stages"])
    for stage in measured["stages"]:
        right, time = measured["accuracy"][stage["name"]], stage["milliseconds"]
        console.out.print(
            f"{stage['name']:<{width}}  {stage['share']:>4.0%} of products, {time:>8.2f} ms of one "
            f"core each; accuracy alone {right:.1%}",
            markup=False,
        )
    console.out.print(
        f"together {measured['milliseconds']:.2f} ms per product, accuracy "
        f"{measured['accuracy']['together']:.1%}, a loss of {Cost(**measured['cost'])}"
    )
    if model.policy.curve:
        print_curve(model.policy, run)
    else:
        console.say("no guarantee yet: run `aisle calibrate` with labelled rows that no model saw")
