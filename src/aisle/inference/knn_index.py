"""The k-nearest-neighbor index of a model's training products, by view.

It is used to find products that belong to no category and to correct confidences. Vectors come from frozen
pretrained encoders, and for text from a fixed random projection of TF-IDF weights, so that they do not
depend on the category tree.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from aisle.guarantee import Nearest, NeighborIndex
from aisle.taxonomy import Taxonomy

PROJECTION_DIM = 512  # dimensions of a projection of words: cosines come out within about 1/sqrt(512)
_SIGNS = 4  # places that each feature falls on
MOST = 5_000  # products remembered in each space


def random_projection(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """(B, PROJECTION_DIM) float32: sparse random projection of TF-IDF (Achlioptas 2003; hashed signs)."""
    ids, weights, offsets = arrays["ids"], arrays["weights"], arrays["offsets"]
    row = np.repeat(np.arange(len(offsets)), np.diff(offsets, append=len(ids)))
    columns, signs = _projection(1 << int(ids.max(initial=0)).bit_length())
    out = np.zeros(len(offsets) * PROJECTION_DIM, dtype=np.float64)
    for column, sign in zip(columns, signs, strict=True):
        out += np.bincount(row * PROJECTION_DIM + column[ids], weights * sign[ids], minlength=len(out))
    return (out.reshape(-1, PROJECTION_DIM) / _SIGNS**0.5).astype(np.float32)


@lru_cache(maxsize=2)
def _projection(features: int) -> tuple[np.ndarray, np.ndarray]:
    """(_SIGNS, F) the places that each feature falls on, and the sign it has there."""
    number = np.arange(features * _SIGNS, dtype=np.uint64).reshape(features, _SIGNS)
    hashed = _mixed(np.ascontiguousarray(number.T))
    sign = np.where(hashed & np.uint64(1), np.float32(1), np.float32(-1))
    return ((hashed >> np.uint64(1)) % np.uint64(PROJECTION_DIM)).astype(np.int32), sign


def _mixed(x: np.ndarray) -> np.ndarray:
    """A fixed scrambling of 64-bit numbers (SplitMix64's finaliser)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class KnnIndex:
    """Neighbors by space, a space a view. Saved as half-precision vectors and ids of nodes."""

    def __init__(self, spaces: Mapping[str, NeighborIndex]) -> None:
        self.spaces = dict(spaces)

    @classmethod
    def of(
        cls, vectors: Mapping[str, np.ndarray], places: Sequence[str], earlier: "KnnIndex | None" = None
    ) -> "KnnIndex":
        """vectors: by space, (n, D), zeros where the view is absent; places (n,) ids of their nodes. earlier:
        what is remembered beside them."""
        spaces = dict(earlier.spaces) if earlier else {}
        for name, rows in vectors.items():
            has_vector = np.abs(rows).sum(1) > 0
            if has_vector.any():
                rows, names = rows[has_vector], np.asarray(places)[has_vector].tolist()
                if name in spaces:
                    rows = np.concatenate([spaces[name].vectors, rows])
                    names = [*map(str, spaces[name].node_ids), *names]
                spaces[name] = NeighborIndex(rows, names, MOST)
                # As it will be read back: a saved predictor answers as this one.
                spaces[name].vectors = spaces[name].vectors.astype(np.float16).astype(np.float32)
        return cls(spaces)

    def query(self, vectors: Mapping[str, np.ndarray], taxonomy: Taxonomy) -> Nearest:
        """The nearest products in each embedding space."""
        return Nearest.stack_spaces(
            [near.query(vectors[name], taxonomy) for name, near in self.spaces.items()]
        )

    def save(self, folder: Path) -> None:
        """`neighbors.safetensors` and `neighbors.json`."""
        vectors = {name: near.vectors.astype(np.float16) for name, near in self.spaces.items()}
        save_file(vectors, str(folder / "neighbors.safetensors"))
        places = {name: list(map(str, near.node_ids)) for name, near in self.spaces.items()}
        (folder / "neighbors.json").write_text(json.dumps(places, ensure_ascii=False))

    @classmethod
    def load(cls, folder: Path) -> "KnnIndex":
        """Read back what `save` wrote."""
        vectors = load_file(str(folder / "neighbors.safetensors"))
        places = json.loads((folder / "neighbors.json").read_text())
        spaces = {name: NeighborIndex(vectors[name], places[name], MOST) for name in places}
        for name, near in spaces.items():
            near.vectors = vectors[name].astype(np.float32)
        return cls(spaces)
