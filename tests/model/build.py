"""Small trees, networks and inputs that several tests need."""

import numpy as np
import torch

from aisle.catalog import Product
from aisle.model import fusions, heads
from aisle.model.encoders import Vector
from aisle.model.model import Model
from aisle.model.names import context_of
from aisle.model.parts import build_part
from aisle.model.prepare import Vectors
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


def tree():
    return Taxonomy.from_paths(PATHS)


def context(taxonomy=None, seed=0):
    taxonomy = taxonomy or tree()
    counts = np.random.default_rng(seed).integers(0, 20, len(taxonomy.terminals))
    return context_of(taxonomy, counts)


def network(fusion="Concat", head="Tree", dims=None, taxonomy=None, view_dropout=0.1, seed=0):
    """A network over vector views, with random weights everywhere."""
    torch.manual_seed(seed)
    dims = dims or DIMS
    encoders = {name: Trained(Vectors(dim)) for name, dim in dims.items()}
    joined = build_part(getattr(fusions, fusion), "fusion", {}, dims=dims)
    top = build_part(getattr(heads, head), "head", {}, context=context(taxonomy), dim=joined.dim)
    model = Model(encoders, joined, top, view_dropout)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    return model.eval()


class Trained(Vector):
    """A vector view whose encoder has weights, so that gradients can be seen to reach it."""

    def __init__(self, prepare):
        super().__init__(prepare)
        self.linear = torch.nn.Linear(prepare.dim, prepare.dim)

    def forward(self, vector):
        return super().forward(self.linear(vector))


def inputs(rows=5, dims=None, seed=1):
    generator = torch.Generator().manual_seed(seed)
    dims = dims or DIMS
    return {name: {"vector": torch.randn(rows, dim, generator=generator)} for name, dim in dims.items()}


def product(id="1", **fields):
    return Product(id, fields)
