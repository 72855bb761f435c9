"""Embeddings of categories' names along the whole path: hashed words and n-grams, which need no model, or
what a pretrained text encoder makes of them."""

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from aisle.taxonomy import Targets, Taxonomy

if TYPE_CHECKING:
    from aisle.models.registry import Context

_ABOVE = 0.5  # each ancestor's name counts half as much as the one below it


def name_vectors(taxonomy: Taxonomy, dim: int = 256) -> np.ndarray:
    """(M, C) unit vectors; paths that share words or spelling, or a branch, lie close together.

    Every word and character 3- and 4-gram has a fixed random direction (a random projection of the bag
    of features, Johnson-Lindenstrauss), so a new node gets its vector without training anything.
    """
    names = {name: _name(name, dim) for name in {node.name for node in taxonomy.nodes}}
    out = np.zeros((len(taxonomy), dim), dtype=np.float32)
    for i, (node, parent) in enumerate(zip(taxonomy.nodes, taxonomy.parent, strict=True)):
        out[i] = names[node.name] + (_ABOVE * out[parent] if parent >= 0 else 0.0)
    return out / np.linalg.norm(out, axis=1, keepdims=True).clip(min=1e-6)


def _name(name: str, dim: int) -> np.ndarray:
    words = "".join(c if c.isalnum() else " " for c in name.lower()).split() or [name]
    total = np.zeros(dim, dtype=np.float32)
    for word in words:
        padded = f" {word} "
        grams = [padded[i : i + n] for n in (3, 4) for i in range(len(padded) - n + 1)]
        total += _direction(padded, dim)
        total += (
            sum((_direction(g, dim) for g in grams), np.zeros(dim, np.float32)) / max(len(grams), 1) ** 0.5
        )
    return total / max(float(np.linalg.norm(total)), 1e-6)


@lru_cache(maxsize=100_000)
def _direction(feature: str, dim: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest())
    return np.random.default_rng(seed).standard_normal(dim).astype(np.float32) * dim**-0.5


def path_vectors(taxonomy: Taxonomy, name: str, max_length: int = 32, batch: int = 64) -> np.ndarray:
    """(M, L * C) a text encoder's unit vectors of the names on each node's path, level by level side by side,
    zeros below its end: two nodes are as alike as the names they have at the same levels.

    name: a folder or hub name of a `transformers` text encoder. max_length: tokens kept of a name.

    Raises:
        MissingModelError: it is not here and cannot be fetched.
    """
    import torch

    from aisle.models.encoders import TransformerTextEncoder
    from aisle.models.preprocessing import TokenPreprocessor

    names = sorted({node.name for node in taxonomy.nodes})
    prepare = TokenPreprocessor(name, max_length=max_length)
    encoder = TransformerTextEncoder(prepare, name).eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(names), batch):
            arrays = prepare(names[start : start + batch]).arrays
            parts.append(encoder(**{key: torch.from_numpy(a) for key, a in arrays.items()}).pooled.numpy())
    vectors = np.concatenate(parts)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-6)
    place = {text: i for i, text in enumerate(names)}
    own = np.array([place[node.name] for node in taxonomy.nodes])
    table = taxonomy.ancestors  # (M, L)
    out = np.where((table >= 0)[:, :, None], vectors[own[table]], 0.0)
    return out.reshape(len(taxonomy), -1).astype(np.float32)


def context_of(taxonomy: Taxonomy, counts: np.ndarray) -> "Context":
    """What heads and losses may know: the tree, training products a terminal (N,), and names' vectors."""
    from aisle.models.registry import Context

    return Context(taxonomy, counts, name_vectors(taxonomy))


def count_terminals(taxonomy: Taxonomy, targets: Targets) -> np.ndarray:
    """(N,) products known to be exactly at each terminal."""
    here = targets.node[(targets.node >= 0) & targets.exact]
    return np.bincount(taxonomy.terminal_of[here], minlength=len(taxonomy.terminals))


def carry_counts(context: Any, taxonomy: Taxonomy) -> np.ndarray:
    """(N,) the counts of an earlier tree's terminals by id; 0 for those it did not have."""
    old = context.taxonomy
    counts = np.zeros(len(taxonomy.terminals), dtype=np.int64)
    for i, terminal in enumerate(taxonomy.terminals):
        found = old.find(taxonomy.nodes[terminal].id)
        if found is not None and old.terminal_of[found] >= 0:
            counts[i] = context.counts[old.terminal_of[found]]
    return counts
