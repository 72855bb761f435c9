"""The fixed part of a shared space: where the views of one product vary together, in closed form.

Towers that learn by gradient which picture is whose know a few thousand pairs by heart and little else;
canonical correlation analysis (Hotelling 1936) with a penalty (Vinod 1976) finds twice as many strangers'
pairs from the same vectors (docs/lab-notes.md). Between more than two views it is the generalised one of
Kettenring (1971): the strongest directions of the whitened views' joint correlation matrix.
"""

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from scipy import linalg

from aisle.models.fusions import HuseFusion
from aisle.models.model import Model
from aisle.progress import Progress
from aisle.training.data import BatchLoader

PENALTY = 0.5  # of a view's mean variance, added to all directions' before they are whitened
POWER = 0.5  # of its correlation, by which a direction counts
_AMONG = 50_000  # products that are looked at
_BATCH = 512


class Moments(NamedTuple):
    """Of some views side by side (D, all widths together): how often each pair of views is there together
    (V, V), sums of the one where the other is (V, D), and sums of products (D, D). Absent views are zeros."""

    count: np.ndarray
    total: np.ndarray
    product: np.ndarray


def begin(model: Model, rows: BatchLoader, frozen: Collection[str], progress: Progress) -> None:
    """Find the cca of the network's fusion, where it has any, between views whose encoders keep still."""
    fusion = model.fusion
    if not isinstance(fusion, HuseFusion) or not fusion.cca_dim:
        return
    names = [name for name in model.views if name in frozen]
    if len(names) < 2:
        return
    progress.say(f"finding where {' and '.join(names)} vary together")
    widths = [model.dim_of(name) for name in names]
    maps = canonical(_moments(model, rows, names), widths, fusion.cca_dim)
    for name, (mean, weight) in zip(names, maps, strict=True):
        fusion.cca[name].mean.copy_(torch.from_numpy(mean))  # type: ignore[operator, union-attr]
        fusion.cca[name].weight.copy_(torch.from_numpy(weight))  # type: ignore[operator, union-attr]


def canonical(moments: Moments, widths: list[int], rank: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """By view its mean (width,) and its map (rank, width), zeros beyond the directions that correlate."""
    ends = np.cumsum([0, *widths])
    parts = [slice(a, b) for a, b in pairwise(ends)]
    each = [max(float(n), 1.0) for n in np.diag(moments.count)]
    means = [moments.total[v, part] / each[v] for v, part in enumerate(parts)]
    whiteners = []
    for v, part in enumerate(parts):
        spread = moments.product[part, part] / each[v] - np.outer(means[v], means[v])
        variance, axes = linalg.eigh(spread)
        variance = np.maximum(variance, 0) + PENALTY * max(variance.mean(), 1e-12)
        whiteners.append(axes / np.sqrt(variance) @ axes.T)
    joint = np.zeros((ends[-1], ends[-1]))
    for v, one in enumerate(parts):
        for w, other in enumerate(parts[:v]):
            n = max(float(moments.count[v, w]), 1.0)
            there, beside = moments.total[w, one] / n, moments.total[v, other] / n  # where both are
            both = moments.product[one, other] / n
            both += np.outer(means[v], means[w]) - np.outer(there, means[w]) - np.outer(means[v], beside)
            joint[one, other] = whiteners[v] @ both @ whiteners[w]
            joint[other, one] = joint[one, other].T
    first = max(len(joint) - rank, 0)
    correlation, axes = linalg.eigh(joint, subset_by_index=[first, len(joint) - 1], driver="evr")
    axes = axes * np.maximum(correlation, 0) ** POWER
    maps = [(whitener @ axes[part]).T[::-1] for whitener, part in zip(whiteners, parts, strict=True)]
    filled = [np.pad(weight, ((0, rank - len(weight)), (0, 0))) for weight in maps]
    return [(m.astype(np.float32), w.astype(np.float32)) for m, w in zip(means, filled, strict=True)]


@torch.inference_mode()
def _moments(model: Model, rows: BatchLoader, names: list[str]) -> Moments:
    device = next(model.parameters()).device
    columns = [model.views.index(name) for name in names]
    widths = [model.dim_of(name) for name in names]
    which = np.repeat(np.arange(len(names)), widths)
    count = np.zeros((len(names), len(names)))
    total, product = np.zeros((len(names), sum(widths))), np.zeros((sum(widths), sum(widths)))
    model.eval()
    chosen = np.arange(0, len(rows), len(rows) // _AMONG + 1)
    for start in range(0, len(chosen), _BATCH):
        batch = rows.batch(chosen[start : start + _BATCH], names)
        here = batch.present[:, columns].numpy().astype(float)
        encoded = [model.encode(name, _on(batch.inputs[name], device)).pooled for name in names]
        vectors = [pooled.double().cpu().numpy() for pooled in encoded]
        side = np.concatenate(vectors, 1) * here[:, which]
        count += here.T @ here
        total += here.T @ side
        product += side.T @ side
    return Moments(count, total, product)


def _on(arrays: Mapping[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    return {key: tensor.to(device) for key, tensor in arrays.items()}
