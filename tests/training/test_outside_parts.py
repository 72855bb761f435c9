"""One part of each kind, in a file of one's own: trained, saved, loaded, through the public interface."""

import numpy as np
import pytest

import aisle
from aisle.errors import AisleError
from aisle.models.registry import OutsideCodeError
from tests.training.shop import catalog, recipe

PARTS = """
import hashlib
import json

import numpy as np
import torch
from torch import nn

from aisle.models.losses import CrossEntropyLoss
from aisle.models.preprocessing.base import Prepared, hash_of, take_rows, write_settings
from aisle.models.registry import Encoder, Fusion, Joint, pooled_only
from aisle.models.scores import TreeIndex, TreeScores


class HashedWords:
    def __init__(self, size=64):
        self.size = size

    def fit(self, values):
        pass

    def __call__(self, values):
        counts = np.zeros((len(values), self.size), np.float32)
        for row, value in enumerate(values):
            for word in (value or "").lower().split():
                counts[row, int(hashlib.md5(word.encode()).hexdigest(), 16) % self.size] += 1
        return Prepared({"counts": counts}, np.array([v is not None for v in values]), {})

    def take(self, arrays, rows):
        return take_rows(arrays, rows)

    def save(self, folder):
        write_settings(folder, {"size": self.size})

    @classmethod
    def load(cls, folder):
        return cls(**json.loads((folder / "preprocessor.json").read_text()))

    @property
    def fingerprint(self):
        return hash_of("hashed", self.size)


class HashedEncoder(Encoder):
    modality = "text"
    preprocessor_class = HashedWords

    def __init__(self, preprocessor, dim=16):
        super().__init__()
        self.dim = dim
        self.map = nn.Linear(preprocessor.size, dim)

    def forward(self, counts):
        return pooled_only(self.map(counts))


class MaxFusion(Fusion):
    def __init__(self, dims, dim=16):
        super().__init__()
        self.dims, self.dim = dims, dim
        self.project = nn.ModuleDict({name: nn.Linear(width, dim) for name, width in dims.items()})

    def forward(self, views):
        shared = {name: self.project[name](view.pooled) for name, view in views.items()}
        return Joint(torch.stack(list(shared.values())).amax(0), shared)


class FlatHead(nn.Module):
    def __init__(self, context, dim):
        super().__init__()
        self.dim = dim
        self.index = TreeIndex(context.taxonomy)
        self.map = nn.Linear(dim, len(context.counts))

    def forward(self, product, known):
        return TreeScores(self.map(product) * known.unsqueeze(1), self.index)


class DoubledLoss(CrossEntropyLoss):
    def forward(self, output, target):
        return 2 * super().forward(output, target)
"""


@pytest.fixture
def given(tmp_path, monkeypatch):
    """A recipe that names each part by file and class; the file is `parts.py` of the working folder."""
    (tmp_path / "parts.py").write_text(PARTS)
    monkeypatch.chdir(tmp_path)
    return recipe(
        views={
            "title": {"encoder": {"type": "parts:HashedEncoder", "size": 64, "dim": 24}},
            "image": {"encoder": {"type": "ConvEncoder", "size": 32, "dim": 16}},
        },
        fusion={"type": "parts:MaxFusion", "dim": 24},
        head={"type": "parts:FlatHead"},
        losses=[{"type": "parts:DoubledLoss", "label_smoothing": 0.1}],
        stages=[{"epochs": 25, "batch_size": 16, "lr": 0.01}],
    )


@pytest.mark.slow
def test_an_encoder_a_fusion_a_head_and_a_loss_of_ones_own_are_trained_saved_and_loaded(given, tmp_path):
    model = aisle.train(catalog(80), given, trust_code=True)
    model.save(tmp_path / "bundle")
    again = aisle.load(tmp_path / "bundle", trust_code=True)
    rows = catalog(80)
    np.testing.assert_allclose(again.score(rows).all(), model.score(rows).all(), atol=1e-6)
    right = [p.best == product.categories[0] for p, product in zip(model.predict(rows), rows, strict=True)]
    assert np.mean(right) > 0.8


def test_code_from_outside_runs_only_when_it_is_trusted(given, tmp_path):
    with pytest.raises(OutsideCodeError, match="is code from outside Aisle"):
        aisle.train(catalog(20), given)
    aisle.train(catalog(40), given | {"stages": [{"epochs": 1}]}, trust_code=True).save(tmp_path / "bundle")
    with pytest.raises(AisleError, match="is code from outside Aisle"):
        aisle.load(tmp_path / "bundle")
