"""Label Studio: labeling configuration, tasks with pre-annotations, and annotations as labels."""

from aisle.inference.label_studio.annotations import AnnotationError, Annotations, read_annotations
from aisle.inference.label_studio.config import Control, choices, find_control, label_config
from aisle.inference.label_studio.prodigy import prodigy_task
from aisle.inference.label_studio.task_files import write_config, write_tasks
from aisle.inference.label_studio.tasks import pre_annotation, task, task_product

__all__ = [
    "AnnotationError",
    "Annotations",
    "Control",
    "choices",
    "find_control",
    "label_config",
    "pre_annotation",
    "prodigy_task",
    "read_annotations",
    "task",
    "task_product",
    "write_config",
    "write_tasks",
]
