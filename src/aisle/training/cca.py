"""Canonical correlation analysis (CCA) of frozen views, for the fixed part of `HuseFusion`'s shared space.

CCA (Hotelling 1936) with a ridge penalty (Vinod 1976) retrieves twice as many unseen image-text pairs as
towers trained by gradient descent on the same few thousand products (docs/lab-notes.md). With more than two
views it is generalised CCA (Kettenring 1971): the leading eigenvectors of the joint correlation matrix of the
whitened views.

Shapes: V views, D the width of all views together.
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

PENALTY = 0.5  # added to the variances before whitening, in units of a view's mean variance
POWER = 0.5  # directions are weighted by this power of their correlation
_MAX_ROWS = 50_000  # products used
_BATCH_SIZE = 512


class Moments(NamedTuple):
    """Moments of the concatenated views; missing views are zeros.

    Attributes:
        count: (V, V) products that have both views.
        total: (V, D) sums of the vectors, over the products that have the view of the row.
        product: (D, D) sums of outer products.
    """

    count: np.ndarray
    total: np.ndarray
    product: np.ndarray


def fit_cca(model: Model, rows: BatchLoader, frozen: Collection[str], progress: Progress) -> None:
    """Fit the CCA projections of a `HuseFusion`, in place; other fusions have none.

    Args:
        model: the network.
        rows: training rows.
        frozen: views whose encoders are frozen; with fewer than two, nothing is fitted.
        progress: shows a message.
    """
    fusion = model.fusion
    if not isinstance(fusion, HuseFusion) or not fusion.cca_dim:
        return
    names = [name for name in model.views if name in frozen]
    if len(names) < 2:
        return
    progress.say(f"finding where {' and '.join(names)} vary together")
    widths = [model.dim_of(name) for name in names]
    projections = canonical(_moments(model, rows, names), widths, fusion.cca_dim)
    for name, (mean, weight) in zip(names, projections, strict=True):
        fusion.cca[name].mean.copy_(torch.from_numpy(mean))  # type: ignore[operator, union-attr]
        fusion.cca[name].weight.copy_(torch.from_numpy(weight))  # type: ignore[operator, union-attr]


def canonical(moments: Moments, widths: list[int], rank: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Solve CCA.

    Args:
        moments: of the views.
        widths: of each view.
        rank: number of directions.

    Returns:
        The mean (width,) and the projection (rank, width) of each view, zeros beyond the directions there
        are.
    """
    ends = np.cumsum([0, *widths])
    parts = [slice(a, b) for a, b in pairwise(ends)]
    counts = [max(float(n), 1.0) for n in np.diag(moments.count)]
    means = [moments.total[v, part] / counts[v] for v, part in enumerate(parts)]
    whiteners = []
    for v, part in enumerate(parts):
        covariance = moments.product[part, part] / counts[v] - np.outer(means[v], means[v])
        variance, axes = linalg.eigh(covariance)
        variance = np.maximum(variance, 0) + PENALTY * max(variance.mean(), 1e-12)
        whiteners.append(axes / np.sqrt(variance) @ axes.T)
    joint = np.zeros((ends[-1], ends[-1]))
    for v, a in enumerate(parts):
        for w, b in enumerate(parts[:v]):
            n = max(float(moments.count[v, w]), 1.0)
            mean_a, mean_b = moments.total[w, a] / n, moments.total[v, b] / n  # of products with both views
            covariance = moments.product[a, b] / n
            covariance += (
                np.outer(means[v], means[w]) - np.outer(mean_a, means[w]) - np.outer(means[v], mean_b)
            )
            joint[a, b] = whiteners[v] @ covariance @ whiteners[w]
            joint[b, a] = joint[a, b].T
    first = max(len(joint) - rank, 0)
    correlation, axes = linalg.eigh(joint, subset_by_index=[first, len(joint) - 1], driver="evr")
    axes = axes * np.maximum(correlation, 0) ** POWER
    weights = [(whitener @ axes[part]).T[::-1] for whitener, part in zip(whiteners, parts, strict=True)]
    padded = [np.pad(weight, ((0, rank - len(weight)), (0, 0))) for weight in weights]
    return [(m.astype(np.float32), w.astype(np.float32)) for m, w in zip(means, padded, strict=True)]


@torch.inference_mode()
def _moments(model: Model, rows: BatchLoader, names: list[str]) -> Moments:
    device = next(model.parameters()).device
    columns = [model.views.index(name) for name in names]
    widths = [model.dim_of(name) for name in names]
    view_of = np.repeat(np.arange(len(names)), widths)  # (D,)
    count = np.zeros((len(names), len(names)))
    total, product = np.zeros((len(names), sum(widths))), np.zeros((sum(widths), sum(widths)))
    model.eval()
    sample = np.arange(0, len(rows), len(rows) // _MAX_ROWS + 1)
    for start in range(0, len(sample), _BATCH_SIZE):
        batch = rows.batch(sample[start : start + _BATCH_SIZE], names)
        present = batch.present[:, columns].numpy().astype(float)
        encoded = [model.encode(name, _on(batch.inputs[name], device)).pooled for name in names]
        vectors = [pooled.double().cpu().numpy() for pooled in encoded]
        x = np.concatenate(vectors, 1) * present[:, view_of]
        count += present.T @ present
        total += present.T @ x
        product += x.T @ x
    return Moments(count, total, product)


def _on(arrays: Mapping[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    return {key: tensor.to(device) for key, tensor in arrays.items()}
