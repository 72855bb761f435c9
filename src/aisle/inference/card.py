"""The model card in a bundle: what the model reads, what was measured, what it guarantees."""

from typing import TYPE_CHECKING, Any

from aisle.inference.training_counts import training_products

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor


def model_card(predictor: Any, model_id: str) -> str:
    """Markdown; the measured results come from `predictor.results`, nothing is claimed that is not there."""
    tree, results = predictor.taxonomy, predictor.results
    views = "\n".join(f"- `{name}`: {_encoder(spec)}" for name, spec in predictor.spec.views.items())
    return f"""---
library_name: aisle
tags: [product-classification, taxonomy]
---
# Model {model_id}

Places products in a tree of {len(tree):,} categories ({len(tree.terminals):,} of them final, {tree.depth}
levels). Recipe `{results.get("recipe", "?")}`, {training_products(predictor) or 0:,} training products,
{predictor.parameters:,} parameters.

Reads:
{views}

{_architecture(predictor.spec)}

## Measured
{_measured(results)}

## Promise
{_promise(predictor)}

## Use
```python
import aisle

model = aisle.load("this/folder")
print(model.predict([aisle.Product("1", {{"title": "red running shoes"}})])[0])
```

It knows the categories of the shop it learned from and no other; products unlike those of its training
rows should be reviewed. Accuracy on rare categories is lower than the overall figure.
"""


def _encoder(view: Any) -> str:
    encoder = getattr(view, "encoder", None)
    if encoder is None:
        return view.type
    return f"{encoder.type}{', frozen' if view.freeze else ''}"


def _architecture(spec: Any) -> str:
    if getattr(spec, "family", "network") == "linear":
        return "Linear model: TF-IDF views into a linear SVM, all others into ridge regression."
    return f"Fusion `{spec.fusion.type}`, head `{spec.head.type}`."


def _measured(results: dict[str, Any] | Any) -> str:
    metrics = results.get("metrics") or {}
    if not metrics:
        return "Not evaluated yet."
    rows = "\n".join(f"| {name} | {value:.4f} |" for name, value in metrics.items())
    return f"On {results.get('evaluated_on', 'held-out rows')}:\n\n| metric | value |\n|---|---|\n{rows}"


def _promise(predictor: "Predictor") -> str:
    policy = predictor.policy
    held = [promise for promise in policy.guarantees if promise.holds and not promise.branch]
    if not policy.curve:
        return "Not calibrated: every product is left for review. `aisle calibrate` fits a guarantee."
    if not held:
        return f"Nothing is guaranteed at {policy.settings.precision:.0%}.\n\n" + _curve(policy)
    sure = f"with confidence {1 - policy.settings.alpha:.0%} over the rows it was calibrated on"
    lines = [f"- `{p.verdict}`: at least {p.precision:.0%} are right" for p in held]
    return f"Of what it decides automatically, {sure}:\n\n" + "\n".join(lines) + "\n\n" + _curve(policy)


def _curve(policy: Any) -> str:
    """The operating curve as a table."""
    head = "| precision | full path | branch | review |\n|---|---|---|---|\n"
    rows = [
        f"| {p.precision:.0%} | {p.full:.1%} | {sum(p.branch):.1%} | {p.review:.1%} |" for p in policy.curve
    ]
    return "Share of products by precision (`--precision` chooses):\n\n" + head + "\n".join(rows)
