"""`aisle info`: describes a saved model."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import console
from aisle.cli.command import command
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
    from aisle.inference.card import model_card
    from aisle.inference.training_counts import training_counts
    from aisle.taxonomy import format_path

    model: Any = workflow.load(run, trust_code=trust_code)
    if hasattr(model, "members"):
        _ensemble(model, as_json)
        return
    if hasattr(model, "cheap"):
        _cascade(model, as_json)
        return
    if not hasattr(model, "spec"):
        _exported(model, as_json)
        return
    taxonomy = model.taxonomy
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
    for count, node in zip(training_counts(model).tolist(), taxonomy.nodes, strict=True):
        name = f"{'  ' * (len(node.path) - 1)}{node.name}"
        console.out.print(f"{count:>8,}  {name}  [{node.id}]", markup=False)


def _ensemble(model: Any, as_json: bool) -> None:
    if as_json:
        members = [member.model_id for member in model.members]
        found = {"model_id": model.model_id, "members": members, "weights": model.weights.tolist()}
        console.print_json(found | {"results": dict(model.results)})
        return
    console.out.print(f"ensemble {model.model_id} of {len(model.members)} models")
    print_ensemble(model)


def _cascade(model: Any, as_json: bool) -> None:
    if as_json:
        found = {"model_id": model.model_id, "stages": model.stages, "results": dict(model.results)}
        console.print_json(found)
        return
    stages = " and ".join(stage.model_id for stage in model.models)
    console.out.print(f"cascade {model.model_id} of {stages}")
    print_cascade(model)


def _exported(model: Any, as_json: bool) -> None:
    if as_json:
        found = {"model_id": model.model_id, "network": dict(model.network), "results": dict(model.results)}
        console.print_json(found)
        return
    card = model.files / "README.md"
    if card.exists():
        console.print_markdown(card.read_text())
    precision = model.results.get("exported", {}).get("precision", "?")
    console.out.print(f"Exported to ONNX as {model.model_id}, {precision}: runs on CPUs without torch.")


def print_ensemble(made: "Ensemble") -> None:
    """Print an ensemble's members, their weights and their accuracy."""
    accuracy = made.results.get("out_of_fold", {})
    counts = made.results.get("importances") or dict(zip(made.names, made.weights.tolist(), strict=True))
    for name, value in counts.items():
        right = f", out-of-fold accuracy {accuracy[name]:.1%}" if name in accuracy else ""
        console.out.print(f"{value:>6.1%}  {name}{right}", markup=False)
    if "mean" in accuracy:
        console.out.print(f"their average: out-of-fold accuracy {accuracy['mean']:.1%}")
    if not made.policy.decides(made.taxonomy):
        console.say("no guarantee yet: give --on with rows that no model saw, or run `aisle calibrate`")


def print_cascade(model: Any) -> None:
    """Print each stage's share of products and time, and what accuracy the cascade loses."""
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
    if not model.policy.curve:
        console.say("no guarantee yet: run `aisle calibrate` with labelled rows that no model saw")
