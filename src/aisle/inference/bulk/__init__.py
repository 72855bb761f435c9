"""Files of any length to a folder of shards: resumable, in bounded memory, here or on a cluster."""

from aisle.inference.bulk.cache import REMEMBERED, Answering, Answers
from aisle.inference.bulk.run import Done, Job, classify_into

__all__ = ["REMEMBERED", "Answering", "Answers", "Done", "Job", "classify_into"]
