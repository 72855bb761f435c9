"""A linear model: TF-IDF into a linear SVM, embeddings into ridge regression, one softmax over terminals.

    logits = svm.scale * (margin of the terminal + level1_weight * margin of its level-1 ancestor)
           + ridge.scale * (regressed share of the terminal) - logit_adjustment * log(prior)

A missing view adds zero. No torch here.

Shapes: B products, N terminals, T level-1 nodes, F features of all TF-IDF views, D width of the embedding.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from aisle.models.linear.config import LinearSpec
from aisle.models.linear.rbf import RBFWeights
from aisle.models.linear.reader import LinearInputs, stacked
from aisle.models.linear.svm import LinearWeights
from aisle.taxonomy import Taxonomy

EMBEDDING = 384  # directions of the logits that products are found by


class LinearModel(NamedTuple):
    """Learned arrays of a linear model.

    Attributes:
        spec: hyperparameters.
        sizes: features of each TF-IDF view, in the columns' order.
        terminals: SVM weights (F, N), None without a TF-IDF view.
        level1: SVM weights (F, T) of level-1 nodes, None without a TF-IDF view.
        kernels: ridge weights by view.
        share: (N,) ridge score of a product without any view.
        counts: (N,) training products of each terminal.
        basis: (N, D) from logits to the embedding.
    """

    spec: LinearSpec
    sizes: dict[str, int]
    terminals: LinearWeights | None
    level1: LinearWeights | None
    kernels: dict[str, RBFWeights]
    share: np.ndarray
    counts: np.ndarray
    basis: np.ndarray

    def logits(self, x: Any, dense: Mapping[str, np.ndarray], taxonomy: Taxonomy) -> np.ndarray:
        """Score every terminal.

        Args:
            x: (B, F) CSR rows of the TF-IDF views, None without such views.
            dense: embeddings by other view (B, D), zeros where a view is missing.
            taxonomy: the tree.

        Returns:
            (B, N) float32.
        """
        products = len(next(iter(dense.values()))) if x is None else x.shape[0]
        out = np.zeros((products, len(self.counts)), np.float32)
        svm = self.spec.linear_svm
        if self.terminals is not None:
            out += np.float32(svm.scale) * self.terminals.margins(x)
        if self.level1 is not None and svm.level1_weight:
            margins = self.level1.margins(x)[:, level1_of(taxonomy)]
            out += np.float32(svm.scale * svm.level1_weight) * margins
        if self.kernels:
            found = self.share + sum(one.scores(dense[name]) for name, one in self.kernels.items())
            out += np.float32(self.spec.ridge.scale) * found
        if self.spec.logit_adjustment:
            out -= np.float32(self.spec.logit_adjustment) * log_prior(self.counts)
        return out

    def read(self, inputs: LinearInputs, taxonomy: Taxonomy) -> np.ndarray:
        """(B, N) logits of a reader's output."""
        x = stacked(inputs.lexical, self.sizes, self.scales) if self.sizes else None
        return self.logits(x, inputs.dense, taxonomy)

    @property
    def scales(self) -> dict[str, float]:
        """Of the TF-IDF views."""
        return {name: self.spec.views[name].scale for name in self.sizes}

    def embed(self, logits: np.ndarray) -> np.ndarray:
        """(B, N) -> (B, D): the directions in which the logits vary most."""
        return ((logits - logits.mean(1, keepdims=True)) @ self.basis).astype(np.float32)

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        found = sum(
            int(w.coef.size) + len(w.intercept) for w in (self.terminals, self.level1) if w is not None
        )
        return found + sum(one.coef.size + len(one.intercept) for one in self.kernels.values())


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Row by row."""
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def log_prior(counts: np.ndarray) -> np.ndarray:
    """(N,) log share of the training products, one added to each terminal."""
    return np.log((counts + 1) / (counts.sum() + len(counts))).astype(np.float32)


def level1_of(taxonomy: Taxonomy) -> np.ndarray:
    """(N,) the number, among the level-1 nodes, of each terminal's ancestor there."""
    top = taxonomy.ancestors[taxonomy.terminals, 0]
    return np.searchsorted(taxonomy.level(1), top)


def find_basis(logits: np.ndarray, dim: int = EMBEDDING) -> np.ndarray:
    """(N, D) the principal directions of centred logits (n, N) of a sample, D at most N."""
    rows = logits - logits.mean(1, keepdims=True)
    dim = min(dim, rows.shape[1])
    if min(rows.shape) <= 2 * dim:
        _, _, axes = np.linalg.svd(rows, full_matrices=False)
    else:
        from sklearn.utils.extmath import randomized_svd

        _, _, axes = randomized_svd(rows, dim, random_state=0)
    basis = np.zeros((rows.shape[1], dim), np.float32)
    basis[:, : min(dim, len(axes))] = axes[:dim].T
    return basis


def grown(model: LinearModel, before: Taxonomy, after: Taxonomy, names: LinearInputs) -> LinearModel:
    """The same weights over another tree, carried over by node id.

    A terminal that is new begins as the plane between its name and nothing: margin 1 for the name itself,
    -1 for a row that shares no feature with it.

    Args:
        model: over `before`.
        before: the tree that was learned.
        after: the tree to answer for.
        names: every terminal of `after`, read as if its name were a product.
    """
    old = carried(before, after)
    kept = old >= 0
    counts = np.where(kept, model.counts[old], 0)
    terminals = level1 = None
    if model.terminals is not None:
        x = stacked(names.lexical, model.sizes, model.scales)
        terminals = _moved(model.terminals, old, x)
        tops = [after.nodes[node].id for node in after.level(1)]
        own = {before.nodes[node].id: i for i, node in enumerate(before.level(1))}
        level1 = (
            _moved(model.level1, np.array([own.get(node, -1) for node in tops]), None)
            if model.level1
            else None
        )
    kernels = {
        name: one._replace(
            coef=np.where(kept, one.coef[:, old], 0.0).astype(np.float32),
            intercept=np.where(kept, one.intercept[old], 0.0).astype(np.float32),
        )
        for name, one in model.kernels.items()
    }
    share = np.where(kept, model.share[old], 0.0).astype(np.float32)
    basis = np.where(kept[:, None], model.basis[old], 0.0).astype(np.float32)
    return model._replace(
        terminals=terminals, level1=level1, kernels=kernels, share=share, counts=counts, basis=basis
    )


def carried(before: Taxonomy, after: Taxonomy) -> np.ndarray:
    """(N,) the number that each terminal of `after` had in `before`, -1 where it had none."""
    found = [before.find(after.nodes[node].id) for node in after.terminals]
    return np.array([-1 if node is None else before.terminal_of[node] for node in found], np.int64)


def _moved(weights: LinearWeights, old: np.ndarray, names: sparse.csr_matrix | None) -> LinearWeights:
    """Columns in a new order; those without an old one from the rows of `names` (N, F), or zero."""
    new = np.flatnonzero(old < 0)
    coef: Any = weights.coef[:, np.maximum(old, 0)]
    intercept = np.where(old >= 0, weights.intercept[np.maximum(old, 0)], -1.0).astype(np.float32)
    planes = sparse.csc_matrix((coef.shape[0], len(new)), dtype=np.float32)
    if names is not None:
        rows = names[new]
        size = np.asarray(rows.multiply(rows).sum(1)).ravel()
        planes = rows.multiply(2 / np.maximum(size, 1e-9)[:, None]).T.tocsc()
        planes.data = planes.data.astype(np.float16).astype(np.float32)  # as it is saved
    if sparse.issparse(coef):
        kept = coef.tocsc() @ sparse.diags((old >= 0).astype(np.float32))
        place = sparse.csc_matrix((np.ones(len(new)), (np.arange(len(new)), new)), (len(new), len(old)))
        return LinearWeights((kept + planes @ place).tocsr().astype(np.float32), intercept)
    coef[:, new] = planes.toarray()
    return LinearWeights(coef, intercept)


def widened(model: LinearModel, sizes: Mapping[str, int]) -> LinearModel:
    """The same weights over vocabularies that grew: new features follow each view's own, and weigh zero."""

    def wider(weights: LinearWeights | None) -> LinearWeights | None:
        if weights is None:
            return None
        parts: list[Any] = []
        begin = 0
        for name, size in model.sizes.items():
            parts.append(weights.coef[begin : begin + size])
            parts.append(np.zeros((sizes[name] - size, len(weights.intercept)), np.float32))
            begin += size
        if sparse.issparse(weights.coef):
            return weights._replace(coef=sparse.vstack([sparse.csr_matrix(part) for part in parts], "csr"))
        return weights._replace(coef=np.concatenate(parts))

    return model._replace(sizes=dict(sizes), terminals=wider(model.terminals), level1=wider(model.level1))
