"""Bulk classification: files of any length into a folder of shards; resumable, here or on Ray."""

from aisle.inference.bulk.cache import CACHE_SIZE, CachedPredictions, StreamPredictor
from aisle.inference.bulk.run import BulkJob, BulkSummary, classify_to_folder

__all__ = [
    "CACHE_SIZE",
    "BulkJob",
    "BulkSummary",
    "CachedPredictions",
    "StreamPredictor",
    "classify_to_folder",
]
