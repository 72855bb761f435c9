"""The model card of a bundle: inputs, measured results and guarantees."""

import re
from typing import Any

from aisle.guarantee import summarize_curve
from aisle.guarantee.curve_summary import exact, share
from aisle.inference.training_counts import training_products


def model_card(predictor: Any, model_id: str) -> str:
    """The card as Markdown, with the measured results of `predictor.results`."""
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
{measured(results)}

## Guarantee
{guarantee(predictor.policy, predictor.rules)}

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


def measured(results: dict[str, Any] | Any) -> str:
    """The metrics of a model's `results` as a table, and the rows they were measured on."""
    metrics = results.get("metrics") or {}
    if not metrics:
        return "Not evaluated yet."
    rows = "\n".join(f"| {name} | {value:.4f} |" for name, value in metrics.items())
    return f"On {results.get('evaluated_on', 'held-out rows')}:\n\n| metric | value |\n|---|---|\n{rows}"


def renewed(card: str, policy: Any, model_id: str, rules: Any = None) -> str:
    """A copied card, updated with the model's id, guarantees and rules."""
    before, _, rest = card.partition("## Guarantee\n")
    _, _, after = rest.partition("## Use\n")
    before = re.sub(r"(?m)^# Model .*$", f"# Model {model_id}", before, count=1)
    return f"{before}## Guarantee\n{guarantee(policy, rules)}\n\n## Use\n{after}"


def guarantee(policy: Any, rules: Any = None) -> str:
    """The operating curve as a table, its guarantee, and the products that it does not cover."""
    summary = summarize_curve(policy)
    ruled = "" if rules is None else f"\n\n{rules.statement.capitalize()}."
    if not summary.points:
        return f"Not calibrated: every product is left for review. `aisle calibrate` fits a guarantee.{ruled}"
    head = "| precision | full path | branch | review |\n|---|---|---|---|\n"
    rows = [
        f"| {exact(p.precision)} | {share(p.full)} | {share(sum(p.branch))} | {share(p.review)} |"
        for p in summary.points
    ]
    chosen = f"Decides at {exact(summary.precision)}; `--precision` chooses another row."
    if summary.advice:
        chosen = f"{summary.advice[0].upper()}{summary.advice[1:]}."
    return f"{chosen}\n\n{head}" + "\n".join(rows) + f"\n\n{summary.statement}\n\n{summary.labels}{ruled}"
