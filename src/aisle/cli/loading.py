"""Loads models for commands that encode many products."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor


def load_cached(run: Path, trust_code: bool, device: str) -> "Predictor":
    """A model that reads the feature cache of training, so that products are not encoded twice.

    Args:
        run: A run folder or a model.
        trust_code: Allow the model to import code from outside Aisle.
        device: cpu, cuda, mps or auto.
    """
    from aisle import workflow
    from aisle.models.features import FeatureStore

    model: Any = workflow.load(run, trust_code=trust_code, device=device)
    return model.with_store(model.store or FeatureStore())
