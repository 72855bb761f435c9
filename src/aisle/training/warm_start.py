"""Going on from an earlier model with new rows and new categories (`--from`).

Nodes keep their ids, and what was learned of them; new ones begin with what their names generate. Words that
are new join the vocabularies. Views along axes learn beside the earlier network: what it made of them is one
view more, and folding joins both, so that words which the new rows do not have keep their meaning.
"""

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from aisle.data import Catalog
from aisle.errors import RecipeError
from aisle.inference.predictor import Predictor
from aisle.models import encoders
from aisle.models.label_embeddings import carry_counts
from aisle.models.model import Model
from aisle.models.preprocessing import Lexical, Prepared, Preparer
from aisle.models.registry import Context
from aisle.models.spec import ModelSpec, build_like, views_of
from aisle.progress import Progress
from aisle.taxonomy import Targets, Taxonomy, format_path

EARLIER = "(earlier)"  # the name of that view


def check_shape(start: Predictor, spec: ModelSpec) -> None:
    """Whether a recipe's network is the one to start from.

    Raises:
        RecipeError: it is another one; the first difference is named.
    """
    old, new = (_shape(one) for one in (start.spec, spec))
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key):
            raise RecipeError(
                f"the recipe's network is not that of the model to start from: {key} is "
                f"{new.get(key, 'not there')!r:.60}, there {old.get(key, 'not there')!r:.60}; "
                "leave --recipe out to take the run's own"
            )


def _shape(spec: ModelSpec) -> dict[str, Any]:
    """What weights depend on."""
    views = {
        f"views.{name}.{key}": value
        for name, view in spec.views.items()
        for key, value in (("encoder", view.encoder.model_dump()), ("fields", view.fields))
    }
    head = {k: v for k, v in spec.head.model_dump().items() if k != "dropout"}
    return {**views, "fusion": spec.fusion.model_dump(), "head": head}


def grow(
    start: Predictor, tree: Taxonomy, targets: Targets, official: bool, progress: Progress
) -> tuple[Taxonomy, Targets]:
    """The earlier tree with the new rows' categories too, and where the rows are in it; an official tree as
    it is, and what is no longer in it is said."""
    old = start.taxonomy
    if not official:
        there = {node.path: i for i, node in enumerate(old.nodes)}
        more = [node for node in tree.nodes if node.path not in there]
        again = [there[node.path] for node in tree.nodes if node.path in there and node.assignable]
        grown = Taxonomy([*old.with_assignable(again).nodes, *more], old.aliases)
        number = np.array([grown.index(node.path) for node in tree.nodes], dtype=np.int64)
        tree, targets = grown, Targets(number[targets.node], targets.exact)
    if gone := [node.path for node in old.nodes if tree.find(node.id) is None]:
        progress.say(
            f"{len(gone):,} categories of the model to start from are not in this tree any more, such as "
            f"{format_path(gone[0])!r}: what was learned of them is left behind"
        )
    fresh = sum(old.find(node.id) is None for node in tree.nodes)
    progress.say(f"going on from model {start.model_id}: {fresh:,} of {len(tree):,} categories are new")
    return tree, targets


def seen_to_fit(parts: Sequence[np.ndarray], seen: np.ndarray, groups: np.ndarray) -> list[np.ndarray]:
    """Rows that the earlier model learned from, and their near-duplicates, are learned from again: calibrated
    on, they would flatter it (design rule 9). parts: sorted row numbers, those to learn from first; seen and
    groups (n,)."""
    known = np.isin(groups, np.unique(groups[seen]))
    aside = [rows[~known[rows]] for rows in parts[1:]]
    return [np.setdiff1d(np.arange(len(groups)), np.concatenate(aside)), *aside]


def counts_of(start: Predictor, taxonomy: Taxonomy, counts: np.ndarray) -> np.ndarray:
    """(N,) products a terminal: of then or of now, whichever are more: new files often hold the old rows."""
    return np.maximum(carry_counts(start.context, taxonomy), counts)


def preparers_from(start: Predictor, catalog: Catalog) -> dict[str, Preparer]:
    """The earlier model's, whose vocabularies know the words of these rows too."""
    views = views_of(start.spec, trust_code=True)  # asked for when it was loaded
    return {
        name: prepare.extended(views[name].value(product) for product in catalog)
        if isinstance(prepare, Lexical)
        else prepare
        for name, prepare in start.preparers.items()
    }


def model_from(
    start: Predictor, spec: ModelSpec, preparers: Mapping[str, Preparer], context: Context
) -> Model:
    """The earlier network over the grown tree and vocabularies, to be trained further."""
    model = build_like(copy.deepcopy(start.model), spec, context)
    for name, prepare in preparers.items():
        encoder = model.encoders[name]
        if isinstance(encoder, encoders.Lexical) and isinstance(prepare, Lexical):
            encoder.widen(prepare.size)
    model.view_dropout, model.tokens = spec.view_dropout, spec.tokens
    model.freeze({name for name, view in spec.views.items() if view.frozen})
    return model


@torch.no_grad()
def said(model: Model, view: str, prepared: Prepared) -> np.ndarray:
    """(B, D) what a network with fusion `Linear` makes of this view of B rows, zeros where it is absent. The
    sum over its views is read as the view `EARLIER`."""
    device = next(model.parameters()).device
    arrays = {key: torch.from_numpy(array).to(device) for key, array in prepared.arrays.items()}
    part = model.fusion.project[view](model.encode(view, arrays).pooled)  # type: ignore[union-attr, index, operator]
    return part.cpu().numpy() * prepared.present[:, None]


@torch.no_grad()
def begin(rotated: Model, final: Model, along: Collection[str]) -> None:
    """Let `rotated`, views side by side with `EARLIER` among them, begin as `final` answers. along: the views
    with axes, which have nothing to add yet."""
    head, small = rotated.head, final.head
    blocks = {EARLIER: torch.eye(final.fusion.dim)}  # (width, D) from each view into the earlier space
    for name in set(rotated.encoders) - set(along) - {EARLIER}:
        rotated.encoders[name].load_state_dict(final.encoders[name].state_dict())
        rotated.absent[name].copy_(final.absent[name])
        project = final.fusion.project[name]  # type: ignore[union-attr, index]
        assert isinstance(project, nn.Linear)
        blocks[name] = project.weight.T
    start = 0
    for name, width in rotated.fusion.dims.items():  # type: ignore[union-attr]
        if name in blocks:
            columns = slice(start, start + width)
            head.node[:, columns] = small.node @ blocks[name].T  # type: ignore[operator, union-attr, index]
            head.generate.weight[columns] = blocks[name] @ small.generate.weight  # type: ignore[operator, union-attr, index]
        start += width
    head.bias.copy_(small.bias)  # type: ignore[operator, union-attr, arg-type]
