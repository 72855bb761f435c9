"""Small trees, networks and inputs that several tests need."""

import numpy as np
import torch

from aisle.data import Product
from aisle.models import fusions, heads
from aisle.models.encoders import VectorEncoder
from aisle.models.encoders.pooling import masked_mean
from aisle.models.label_embeddings import make_context
from aisle.models.model import Model
from aisle.models.preprocessing import VectorPreprocessor
from aisle.models.registry import Encoded, build_part
from aisle.taxonomy import Taxonomy

# Ragged, with an interior node ("Clothing > Shoes") where products may end.
PATHS = [
    ("Clothing", "Shoes"),
    ("Clothing", "Shoes", "Boots"),
    ("Clothing", "Shoes", "Sandals"),
    ("Clothing", "Shirts"),
    ("Garden",),
    ("Home", "Lamps", "Desk lamps"),
    ("Home", "Chairs"),
]
DIMS = {"title": 6, "picture": 8, "brand": 5}
MODALITIES = {"title": "text", "picture": "image", "brand": "text"}
# Small where the defaults are made for real catalogues.
SMALL = {
    "CrossAttentionFusion": {"dim": 16, "heads": 2},
    "AttentionFusion": {"dim": 16, "heads": 2},
    "HuseFusion": {"dim": 16, "image_layers": 3, "cca_dim": 4},
    "MultilevelFusion": {"dim": 16, "groups": [["title", "brand"]], "first": "addition"},
}


def tree():
    return Taxonomy.from_paths(PATHS)


def context(taxonomy=None, seed=0):
    taxonomy = taxonomy or tree()
    counts = np.random.default_rng(seed).integers(0, 20, len(taxonomy.terminals))
    return make_context(taxonomy, counts)


def network(fusion="ConcatFusion", head="TreeHead", dims=None, taxonomy=None, view_dropout=0.1, seed=0):
    """A network over vector views, with random weights everywhere."""
    torch.manual_seed(seed)
    dims = dims or DIMS
    encoders = {name: Trained(VectorPreprocessor(dim)) for name, dim in dims.items()}
    return assemble(encoders, fusion, head, taxonomy, view_dropout)


def assemble(encoders, fusion, head, taxonomy=None, view_dropout=0.1):
    dims = {name: encoder.dim for name, encoder in encoders.items()}
    kinds = {name: MODALITIES.get(name, "text") for name in dims}
    joined = build_part(
        getattr(fusions, fusion), "fusion", SMALL.get(fusion, {}), dims=dims, modalities=kinds
    )
    top = build_part(getattr(heads, head), "head", {}, context=context(taxonomy), dim=joined.dim)
    model = Model(encoders, joined, top, view_dropout)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    return model.eval()


class Trained(VectorEncoder):
    """A vector view whose encoder has weights, so that gradients can be seen to reach it."""

    def __init__(self, prepare):
        super().__init__(prepare)
        self.linear = torch.nn.Linear(prepare.dim, prepare.dim)

    def forward(self, vector):
        return super().forward(self.linear(vector))


class Spelled(VectorEncoder):
    """A view of several tokens, whose encoder has weights."""

    def __init__(self, prepare):
        super().__init__(prepare)
        self.linear = torch.nn.Linear(prepare.dim, prepare.dim)

    def forward(self, tokens, mask):
        tokens = self.linear(tokens)
        return Encoded(masked_mean(tokens, mask), tokens, mask, mask.any(1))


LENGTHS = {"title": 4, "picture": 6, "brand": 1}


def sequences(fusion, head, view_dropout=0.0, seed=0, random=True):
    """A network whose views are sequences of tokens, with random weights everywhere (or as it begins)."""
    torch.manual_seed(seed)
    model = assemble(
        {name: Spelled(VectorPreprocessor(dim)) for name, dim in DIMS.items()},
        fusion,
        head,
        None,
        view_dropout,
    )
    with torch.no_grad():
        for parameter in model.parameters() if random else ():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    return model.eval()


def spelled(rows=5, seed=1):
    """Tokens of each view; the first row has fewer than the others."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, dim in DIMS.items():
        mask = torch.ones(rows, LENGTHS[name], dtype=torch.bool)
        mask[0, max(LENGTHS[name] // 2, 1) :] = False
        found[name] = {"tokens": torch.randn(rows, LENGTHS[name], dim, generator=generator), "mask": mask}
    return found


def inputs(rows=5, dims=None, seed=1):
    generator = torch.Generator().manual_seed(seed)
    dims = dims or DIMS
    return {name: {"vector": torch.randn(rows, dim, generator=generator)} for name, dim in dims.items()}


def product(id="1", **fields):
    return Product(id, fields)
