"""Embeddings of category names along the path: hashed words and n-grams, or by a pretrained text encoder.

Shapes: M nodes, N terminals, L levels, C the width of an embedding.
"""

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from aisle.taxonomy import Targets, Taxonomy

if TYPE_CHECKING:
    from aisle.models.registry import Context

_ANCESTOR_WEIGHT = 0.5  # the weight of each ancestor's name, relative to the name below it


def name_vectors(taxonomy: Taxonomy, dim: int = 256) -> np.ndarray:
    """Embed the path of every node by hashing, so that a new node needs no training.

    Every word and character 3- and 4-gram has a fixed random direction (a Johnson-Lindenstrauss projection of
    the bag of features). Paths that share words, spelling or a branch are similar.

    Args:
        taxonomy: the tree.
        dim: C.

    Returns:
        (M, C) float32 unit vectors.
    """
    names = {name: _embed_name(name, dim) for name in {node.name for node in taxonomy.nodes}}
    out = np.zeros((len(taxonomy), dim), dtype=np.float32)
    for i, (node, parent) in enumerate(zip(taxonomy.nodes, taxonomy.parent, strict=True)):
        out[i] = names[node.name] + (_ANCESTOR_WEIGHT * out[parent] if parent >= 0 else 0.0)
    return out / np.linalg.norm(out, axis=1, keepdims=True).clip(min=1e-6)


def _embed_name(name: str, dim: int) -> np.ndarray:
    words = "".join(c if c.isalnum() else " " for c in name.lower()).split() or [name]
    total = np.zeros(dim, dtype=np.float32)
    for word in words:
        padded = f" {word} "
        grams = [padded[i : i + n] for n in (3, 4) for i in range(len(padded) - n + 1)]
        total += _direction(padded, dim)
        gram_sum = sum((_direction(g, dim) for g in grams), np.zeros(dim, np.float32))
        total += gram_sum / max(len(grams), 1) ** 0.5
    return total / max(float(np.linalg.norm(total)), 1e-6)


@lru_cache(maxsize=100_000)
def _direction(feature: str, dim: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest())
    return np.random.default_rng(seed).standard_normal(dim).astype(np.float32) * dim**-0.5


def path_vectors(taxonomy: Taxonomy, name: str, max_length: int = 32, batch_size: int = 64) -> np.ndarray:
    """Embed the path of every node with a pretrained text encoder.

    Args:
        taxonomy: the tree.
        name: folder or hub name of a `transformers` text encoder.
        max_length: tokens kept of a name.
        batch_size: names encoded at once.

    Returns:
        (M, L * C) float32: the unit vectors of the names on a path, concatenated by level, zeros below its
        end.

    Raises:
        MissingModelError: the encoder is not on this machine and cannot be downloaded.
    """
    import torch

    from aisle.models.encoders import TransformerTextEncoder
    from aisle.models.preprocessing import TokenPreprocessor

    names = sorted({node.name for node in taxonomy.nodes})
    preprocessor = TokenPreprocessor(name, max_length=max_length)
    encoder = TransformerTextEncoder(preprocessor, name).eval()
    batches = []
    with torch.inference_mode():
        for start in range(0, len(names), batch_size):
            arrays = preprocessor(names[start : start + batch_size]).arrays
            batches.append(encoder(**{key: torch.from_numpy(a) for key, a in arrays.items()}).pooled.numpy())
    vectors = np.concatenate(batches)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-6)
    row = {text: i for i, text in enumerate(names)}
    name_of = np.array([row[node.name] for node in taxonomy.nodes])
    path = taxonomy.ancestors  # (M, L)
    out = np.where((path >= 0)[:, :, None], vectors[name_of[path]], 0.0)
    return out.reshape(len(taxonomy), -1).astype(np.float32)


def make_context(taxonomy: Taxonomy, counts: np.ndarray) -> "Context":
    """The context of heads and losses: the tree, training products of each terminal (N,), and name
    embeddings.
    """
    from aisle.models.registry import Context

    return Context(taxonomy, counts, name_vectors(taxonomy))


def count_terminals(taxonomy: Taxonomy, targets: Targets) -> np.ndarray:
    """(N,) the number of products labelled with exactly each terminal."""
    nodes = targets.node[(targets.node >= 0) & targets.exact]
    return np.bincount(taxonomy.terminal_of[nodes], minlength=len(taxonomy.terminals))


def carry_counts(context: Any, taxonomy: Taxonomy) -> np.ndarray:
    """(N,) the counts of an earlier context by node id; 0 for new terminals."""
    old = taxonomy.terminals_in(context.taxonomy)
    return np.where(old >= 0, context.counts[old], 0).astype(np.int64)
