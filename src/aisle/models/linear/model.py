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
from aisle.models.linear.reader import LinearInputs, concat_tfidf
from aisle.models.linear.svm import LinearWeights
from aisle.taxonomy import Taxonomy

EMBEDDING_DIM = 384  # at most


class LinearModel(NamedTuple):
    """Learned arrays of a linear model.

    Attributes:
        spec: hyperparameters.
        sizes: number of features of each TF-IDF view, in the order of the columns.
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
            dense: (B, D) embeddings by other view, zeros where the view is missing.
            taxonomy: the tree.

        Returns:
            (B, N) float32.
        """
        n_products = len(next(iter(dense.values()))) if x is None else x.shape[0]
        out = np.zeros((n_products, len(self.counts)), np.float32)
        svm = self.spec.linear_svm
        if self.terminals is not None:
            out += np.float32(svm.scale) * self.terminals.margins(x)
        if self.level1 is not None and svm.level1_weight:
            margins = self.level1.margins(x)[:, level1_ancestors(taxonomy)]
            out += np.float32(svm.scale * svm.level1_weight) * margins
        if self.kernels:
            scores = self.share + sum(kernel.scores(dense[name]) for name, kernel in self.kernels.items())
            out += np.float32(self.spec.ridge.scale) * scores
        if self.spec.logit_adjustment:
            out -= np.float32(self.spec.logit_adjustment) * log_prior(self.counts)
        return out

    def score(self, inputs: LinearInputs, taxonomy: Taxonomy) -> np.ndarray:
        """(B, N) logits of a feature extractor's output; the log prior of a product without any view."""
        x = concat_tfidf(inputs.tfidf, self.sizes, self.scales) if self.sizes else None
        logits = self.logits(x, inputs.dense, taxonomy)
        logits[~inputs.present.any(1)] = log_prior(self.counts)
        return logits

    @property
    def scales(self) -> dict[str, float]:
        """The scale of each TF-IDF view."""
        return {name: self.spec.views[name].scale for name in self.sizes}

    def embed(self, logits: np.ndarray) -> np.ndarray:
        """Project logits (B, N) onto their principal directions: (B, D) float32."""
        return ((logits - logits.mean(1, keepdims=True)) @ self.basis).astype(np.float32)

    @property
    def parameters(self) -> int:
        """Number of learned parameters."""
        weights = [w for w in (self.terminals, self.level1, *self.kernels.values()) if w is not None]
        return sum(int(w.coef.size) + len(w.intercept) for w in weights)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities (B, N) of logits (B, N)."""
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def log_prior(counts: np.ndarray) -> np.ndarray:
    """(N,) log share of the training products `counts` (N,), with add-one smoothing."""
    return np.log((counts + 1) / (counts.sum() + len(counts))).astype(np.float32)


def level1_ancestors(taxonomy: Taxonomy) -> np.ndarray:
    """(N,) the level-1 ancestor of each terminal, as a position in `taxonomy.level(1)`."""
    return np.searchsorted(taxonomy.level(1), taxonomy.ancestors[taxonomy.terminals, 0])


def fit_basis(logits: np.ndarray) -> np.ndarray:
    """(N, D) the principal directions of the centred logits (n, N) of a sample, D at most N."""
    rows = logits - logits.mean(1, keepdims=True)
    dim = min(EMBEDDING_DIM, rows.shape[1])
    if min(rows.shape) <= 2 * dim:
        _, _, axes = np.linalg.svd(rows, full_matrices=False)
    else:
        from sklearn.utils.extmath import randomized_svd

        _, _, axes = randomized_svd(rows, dim, random_state=0)
    basis = np.zeros((rows.shape[1], dim), np.float32)
    basis[:, : min(dim, len(axes))] = axes[:dim].T
    return basis


def remap_to_taxonomy(
    model: LinearModel, before: Taxonomy, after: Taxonomy, names: LinearInputs
) -> LinearModel:
    """A model's weights over another tree, carried over by node id.

    The weights of a new terminal are proportional to the features of its name: the margin is 1 for the name
    itself, and -1 for a row that shares no feature with it.

    Args:
        model: over `before`.
        before: the tree that the model was trained on.
        after: the tree to predict.
        names: features of the name of every terminal of `after`, as if it were a product.
    """
    old = after.terminals_in(before)
    kept = old >= 0
    counts = np.where(kept, model.counts[old], 0)
    terminals = level1 = None
    if model.terminals is not None:
        terminals = _remap_columns(model.terminals, old, concat_tfidf(names.tfidf, model.sizes, model.scales))
        if model.level1 is not None:
            position = {before.nodes[node].id: i for i, node in enumerate(before.level(1))}
            old_level1 = [position.get(after.nodes[node].id, -1) for node in after.level(1)]
            level1 = _remap_columns(model.level1, np.array(old_level1), None)
    kernels = {
        name: weights._replace(
            coef=np.where(kept, weights.coef[:, old], 0.0).astype(np.float32),
            intercept=np.where(kept, weights.intercept[old], 0.0).astype(np.float32),
        )
        for name, weights in model.kernels.items()
    }
    share = np.where(kept, model.share[old], 0.0).astype(np.float32)
    basis = np.where(kept[:, None], model.basis[old], 0.0).astype(np.float32)
    return model._replace(
        terminals=terminals, level1=level1, kernels=kernels, share=share, counts=counts, basis=basis
    )


def _remap_columns(weights: LinearWeights, old: np.ndarray, names: sparse.csr_matrix | None) -> LinearWeights:
    """Weights with the columns `old` (N,); new columns (-1) are made from the rows of `names` (N, F), or
    zero.
    """
    new = np.flatnonzero(old < 0)
    coef: Any = weights.coef[:, np.maximum(old, 0)]
    intercept = np.where(old >= 0, weights.intercept[np.maximum(old, 0)], -1.0).astype(np.float32)
    new_coef = sparse.csc_matrix((coef.shape[0], len(new)), dtype=np.float32)
    if names is not None:
        rows = names[new]
        squared_norm = np.asarray(rows.multiply(rows).sum(1)).ravel()
        new_coef = rows.multiply(2 / np.maximum(squared_norm, 1e-9)[:, None]).T.tocsc()
        new_coef.data = new_coef.data.astype(np.float16).astype(np.float32)  # as saved
    if sparse.issparse(coef):
        kept = coef.tocsc() @ sparse.diags((old >= 0).astype(np.float32))
        selector = sparse.csc_matrix((np.ones(len(new)), (np.arange(len(new)), new)), (len(new), len(old)))
        return LinearWeights((kept + new_coef @ selector).tocsr().astype(np.float32), intercept)
    coef[:, new] = new_coef.toarray()
    return LinearWeights(coef, intercept)


def add_features(model: LinearModel, sizes: Mapping[str, int]) -> LinearModel:
    """A model over extended vocabularies (`TfidfPreprocessor.extended`); new features have weight zero.

    Args:
        model: over the earlier vocabularies.
        sizes: number of features of each TF-IDF view now.
    """

    def padded(weights: LinearWeights | None) -> LinearWeights | None:
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

    return model._replace(sizes=dict(sizes), terminals=padded(model.terminals), level1=padded(model.level1))
