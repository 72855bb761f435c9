"""The model card of a repository on the Hugging Face Hub."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aisle.inference.card import guarantee, measured
from aisle.inference.training_counts import own_training_counts, training_counts, training_products

_TAGS = ["product-classification", "hierarchical-classification", "taxonomy", "e-commerce"]
_METRIC_TYPES = {"full-path accuracy": "accuracy", "macro-F1": "f1", "top-5": "accuracy"}
_MAX_TOP = 50  # top categories in the table


def hub_card(model: Any, repo_id: str, license: str | None = None) -> str:
    """The card as Markdown with the Hub's metadata, and the numbers of `model.results` and the policy.

    Args:
        model: A saved model.
        repo_id: The repository that the card is for.
        license: An identifier of the Hub, such as `apache-2.0` or `other`; None names none.
    """
    tree, name = model.taxonomy, repo_id.rpartition("/")[2]
    return f"""---
{_metadata(model, name, license)}
---
# {name}

Classifies products into a tree of {len(tree):,} categories ({len(tree.terminals):,} of them final,
{tree.depth} levels) by {_reads(model)}. Made with Aisle; model id `{model.model_id}`.

## Use

```python
import aisle  # pip install 'aisle[hub]'

model = aisle.load("hf://{repo_id}")
print(model.predict([{_example(model)}])[0])
```

On the command line: `aisle classify hf://{repo_id} products.csv --out predictions.csv`. Each prediction has a
path, a calibrated confidence for each level, and a decision: `accept` (the whole path), `partial` (a branch)
or `review` (a person decides).

## Categories

{_tree(model)}

## Training data

{_data(model)}

## Results

{measured(model.results)}

## Guarantee

{guarantee(model.policy, model.rules)}

## Intended use

Assigns products of the shop it was trained for, or of a similar one, to that shop's categories; decides
automatically where its confidence is sufficient, and leaves the others for review.

## Limits

- It knows the categories above and no others.
- The guarantee holds for products like those it was calibrated on. Other languages, sellers or product ranges
  need a new calibration with labelled products of theirs (`aisle calibrate`); `aisle drift` compares.
- Accuracy on categories with few training products is lower than the overall figure.
- A category is not advice: do not rely on it for age limits, safety, customs or legal duties without review.
"""


def _metadata(model: Any, name: str, license: str | None) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    metrics: Mapping[str, float] = model.results.get("metrics") or {}
    rows = str(model.results.get("evaluated_on", "held-out rows"))
    results = [
        EvalResult(
            task_type="text-classification",
            task_name="Product classification",
            dataset_type="catalog",
            dataset_name=rows,
            metric_type=_METRIC_TYPES.get(metric, "accuracy"),
            metric_name=metric,
            metric_value=round(float(value), 6),
        )
        for metric, value in metrics.items()
    ]
    modalities = {view.modality for view in model.inputs}
    data = ModelCardData(
        license=license,
        library_name="aisle",
        pipeline_tag="text-classification" if "text" in modalities else "image-classification",
        tags=[*_TAGS, *(["multimodal"] if len(modalities) > 1 else [])],
        metrics=sorted({_METRIC_TYPES.get(metric, "accuracy") for metric in metrics}) or None,
        model_name=name,
        eval_results=results or None,
    )
    return data.to_yaml()


def _reads(model: Any) -> str:
    texts = dict.fromkeys(field for view in model.inputs if view.modality == "text" for field in view.fields)
    others = dict.fromkeys(view.modality for view in model.inputs if view.modality != "text")
    names = [*(f"`{field}`" for field in texts), *("images" if kind == "image" else kind for kind in others)]
    return ", ".join(names)


def _example(model: Any) -> str:
    field = next((view.fields[0] for view in model.inputs if view.modality == "text"), None)
    fields = "" if field is None else f', {{"{field}": "red running shoes"}}'
    return f'aisle.Product("1"{fields})'


def _tree(model: Any) -> str:
    tree, counts = model.taxonomy, training_counts(model)
    tops = sorted(tree.level(1).tolist(), key=lambda i: -counts[i])
    depths = np.array([len(tree.nodes[i].path) for i in range(len(tree))])
    below = {i: int(tree.span[i][1] - tree.span[i][0]) for i in tops}
    rows = "\n".join(
        f"| {_cell(tree.nodes[i].path[0])} | {below[i]:,} | {int(counts[i]):,} |" for i in tops[:_MAX_TOP]
    )
    more = f"\n\nand {len(tops) - _MAX_TOP:,} more top categories." if len(tops) > _MAX_TOP else ""
    levels = ", ".join(
        f"{int((depths == level).sum()):,} on level {level}" for level in range(1, tree.depth + 1)
    )
    head = "| top category | final categories | training products |\n|---|---|---|\n"
    return f"{len(tree):,} categories: {levels}.\n\n{head}{rows}{more}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _data(model: Any) -> str:
    tree = model.taxonomy
    counts = own_training_counts(model)[np.asarray(tree.terminals)]
    trained = counts[counts > 0]
    recipe = model.results.get("recipe")
    text = f"{training_products(model) or 0:,} labelled products of a shop's catalog"
    text += f", recipe `{recipe}`." if recipe else "."
    if len(trained):
        text += f" Final categories have {int(trained.min()):,} to {int(trained.max()):,} of them"
        text += f", {np.median(trained):g} in the median"
        empty = len(counts) - len(trained)
        text += f"; {empty:,} have none." if empty else "."
    return f"{text} The products themselves are not part of this repository."
