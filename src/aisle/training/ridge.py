"""Ridge regression along the axes, added to what the stages learned there.

Gradient descent on a likelihood fits every training row in the end, whatever view explains it; squared
loss with a penalty is solved exactly and keeps each direction in proportion to what it explains. Their
mistakes differ, and both are linear in the same coordinates, so their sum is one head: more is right than
with either alone (docs/lab-notes.md). It is regularised least squares on one-hot targets (Rifkin & Klautau,
JMLR 2004), in the dual or the primal, whichever is smaller.
"""

from collections.abc import Collection

import numpy as np
import torch
from scipy import linalg

from aisle.models.fusions import Beside
from aisle.models.heads import Tree
from aisle.models.model import Model
from aisle.models.registry import Context
from aisle.progress import Progress
from aisle.training.data import Batch, Rows
from aisle.training.recipe import Ridge

_BATCH = 4096
NAMES = 1.0  # ridge of the map from names to weights; a name's vector has length 1


@torch.no_grad()
def add_ridge(
    model: Model,
    rows: Rows,
    ridge: Ridge,
    context: Context,
    progress: Progress,
    without: Collection[str] = (),
) -> None:
    """Add the solution, times `ridge.strength`, to the head of a network whose views stand side by side.

    N terminals, D the views' widths together; n rows, inexact ones spread over their branch. An absent view
    is zeros; so are those in `without`. What category names tell of the solution goes into the head's
    generated part, so that a category added later is not at a disadvantage.
    """
    head, fusion = model.head, model.fusion
    assert isinstance(head, Tree)
    assert isinstance(fusion, Beside)
    with progress("solving the ridge regression", len(rows), "rows") as advance:
        system = _System(fusion.dim, len(context.counts), len(rows))
        model.eval()
        for batch in rows.in_order(_BATCH):
            x = coordinates(model, batch, without)
            y = _shares(context, batch.target.node.numpy(), batch.target.exact.numpy())
            system.add(x, y, None if batch.target.weight is None else batch.target.weight.numpy())
            advance(len(x))
        weights, offset = system.solve(ridge.penalty)  # (N, D), (N,)
    learned = torch.from_numpy(weights) * ridge.strength
    head.bias.add_(torch.from_numpy(offset) * ridge.strength)
    if head.generated:
        names = head.class_vectors[head.index.terminals]  # (N, C)
        inner = names.T @ names + NAMES * torch.eye(names.shape[1])
        told = torch.linalg.solve(inner, names.T @ learned)  # (C, D)
        head.generate.weight += told.T
        learned = learned - names @ told
    head.node.index_add_(0, head.index.terminals, learned)


@torch.no_grad()
def coordinates(model: Model, batch: Batch, without: Collection[str] = ()) -> np.ndarray:
    """(B, D) a batch's views side by side, zeros where one is absent or in `without`."""
    encoded = {
        name: model.encode(name, batch.inputs[name]).pooled
        * (batch.present[:, i : i + 1] if name not in without else 0.0)
        for i, name in enumerate(model.views)
    }
    scales = model.fusion.scales
    return torch.cat([v * scales.get(n, 1.0) for n, v in encoded.items()], 1).numpy()  # type: ignore[union-attr, operator]


def _shares(context: Context, node: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """(B, N) where each row is: at one terminal, or spread over its branch as the training products are."""
    tree = context.taxonomy
    out = np.zeros((len(node), len(tree.terminals)), np.float32)
    terminal = np.where(exact, tree.terminal_of[node], -1)
    here = np.flatnonzero(terminal >= 0)
    out[here, terminal[here]] = 1
    for row in np.flatnonzero(terminal < 0):
        start, stop = tree.span[node[row]]
        share = np.asarray(context.counts[start:stop], np.float32) + 0.5
        out[row, start:stop] = share / share.sum()
    return out


class _System:
    """Normal equations, gathered batch by batch: in the dual (n, n) where rows are no more than axes, else in
    the primal (D, D). Targets are centred, rows are not: the axes are centred already, but for text's."""

    def __init__(self, dim: int, classes: int, rows: int) -> None:
        self.dual = rows <= dim
        self.rows: list[np.ndarray] = []
        self.targets: list[tuple[np.ndarray, np.ndarray]] = []
        self.gram = np.zeros((0, 0) if self.dual else (dim, dim), np.float32)
        self.cross = np.zeros((0, 0) if self.dual else (dim, classes), np.float32)
        self.sum_x, self.sum_y = np.zeros(dim, np.float32), np.zeros(classes, np.float32)
        self.total, self.length = 0.0, 0.0

    def add(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> None:
        """x (B, D), y (B, N), weight (B,)."""
        w = np.ones(len(x), np.float32) if weight is None else weight.astype(np.float32)
        self.total += float(w.sum())
        self.sum_y += w @ y
        self.length += float(w @ (x * x).sum(1))
        root = np.sqrt(w)[:, None]
        if self.dual:
            self.rows.append(x * root)
            self.targets.append((y, root))
        else:
            self.sum_x += w @ x
            self.gram += (x * root).T @ (x * root)
            self.cross += x.T @ (y * w[:, None])

    def solve(self, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights (N, D) and offset (N,), the classes' weighted shares. penalty: in shares of a row's mean
        squared length."""
        mean = self.sum_y / max(self.total, 1e-9)
        ridge = penalty * max(self.length / max(self.total, 1e-9), 1e-9)
        if self.dual:
            x = np.concatenate(self.rows)
            y = np.concatenate([(y - mean) * root for y, root in self.targets])
            gram = x @ x.T
            gram[np.diag_indices_from(gram)] += ridge
            return (x.T @ linalg.solve(gram, y, assume_a="pos")).T, mean
        cross = self.cross - np.outer(self.sum_x, mean)
        self.gram[np.diag_indices_from(self.gram)] += ridge
        return linalg.solve(self.gram, cross, assume_a="pos").T, mean
