"""Annotations of Label Studio as labels: its JSON export, one task after the other."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aisle.atomic_files import atomic_binary, atomic_text
from aisle.data.feedback_export import KEY, VERSION
from aisle.errors import AisleError
from aisle.inference.label_studio.prodigy import annotated_tasks
from aisle.inference.label_studio.tasks import task_product
from aisle.taxonomy import CategoryPath, Taxonomy, format_path


class AnnotationError(AisleError):
    """A file is not an export of Label Studio."""


@dataclass
class Annotations:
    """Labelled products, and counts of those left out.

    Attributes:
        rows: One per labelled task: `id`, `category` (a path), `fields`, `images` (addresses).
        tasks: The number of tasks.
        skipped: Tasks that annotators skipped.
        open: Tasks without an annotation.
        disagreements: Ids of products on whose category as many annotators disagree as agree.
        several: Tasks with several categories; the first one is the label.
        unknown: Paths that are not in the tree, and how many tasks have them.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    tasks: int = 0
    skipped: int = 0
    open: int = 0
    disagreements: list[str] = field(default_factory=list)
    several: int = 0
    unknown: Counter[CategoryPath] = field(default_factory=Counter)

    def write(self, file: Path) -> None:
        """Write the rows for `aisle train`: `.jsonl`, like `aisle feedback export`, or `.csv`.

        Raises:
            AnnotationError: The file has another ending.
        """
        if file.suffix == ".jsonl":
            lines = (json.dumps(_feedback_row(row), ensure_ascii=False) + "\n" for row in self.rows)
            with atomic_binary(file) as handle:
                handle.writelines(line.encode("utf-8", "replace") for line in lines)
        elif file.suffix == ".csv":
            self._write_csv(file)
        else:
            raise AnnotationError(f"{file}: name a .csv or a .jsonl file")

    def _write_csv(self, file: Path) -> None:
        field_names = dict.fromkeys(name for row in self.rows for name in row["fields"])
        names = [*_FIRST, *(name for name in field_names if name not in _FIRST)]
        with atomic_text(file, newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["id", *names, "images", "category"])
            for row in self.rows:
                cells = [row["fields"].get(name, "") for name in names]
                writer.writerow([row["id"], *cells, "|".join(row["images"]), format_path(row["category"])])


_FIRST = ("title", "description")


def _feedback_row(row: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(row["fields"])
    leading = {name: fields.pop(name, "") for name in _FIRST}
    # A feedback export's images are files next to it; addresses of images are a field.
    if row["images"]:
        fields["image_url"] = " ".join(row["images"])
    head = {KEY: VERSION, "id": row["id"], **leading, "category": list(row["category"])}
    return {**head, "images": [], "sample_weight": 1.0, "split": "train", "fields": fields}


def read_annotations(file: Path, taxonomy: Taxonomy | None = None) -> Annotations:
    """Read a JSON export, or the JSON lines of Prodigy.

    Of several annotators the majority decides, each with the latest annotation; a ground truth decides alone.

    Args:
        file: The export, in Label Studio's format JSON; `.jsonl`: of `prodigy db-out`.
        taxonomy: The tree; labels that are not in it are left out. None: any label is right.

    Raises:
        AnnotationError: It is no such file.
    """
    annotations = Annotations()
    for task in _tasks(file):
        annotations.tasks += 1
        _add(annotations, task, taxonomy)
    return annotations


def _tasks(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        if file.suffix == ".jsonl":
            yield from annotated_tasks(file.read_text("utf-8-sig").split("\n"))
            return
        content = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise AnnotationError(f"{file} cannot be read as JSON: {str(error)[:160]}") from error
    tasks = content if isinstance(content, list) else [content]
    for number, task in enumerate(tasks, 1):
        if not isinstance(task, dict) or not isinstance(task.get("annotations"), list):
            raise AnnotationError(
                f"{file}: item {number:,} has no annotations; export from Label Studio in the format JSON"
            )
        yield task


def annotated_path(annotation: Mapping[str, Any]) -> list[CategoryPath]:
    """The categories of an annotation: the first `Taxonomy` result, without ancestors of others."""
    for result in annotation.get("result") or ():
        value = result.get("value") if isinstance(result, dict) else None
        paths = value.get("taxonomy") if isinstance(value, dict) else None
        if isinstance(paths, list) and paths:
            paths_ = [tuple(map(str, path)) for path in paths if isinstance(path, list) and path]
            return [
                path_ for path_ in paths_ if not any(o != path_ and o[: len(path_)] == path_ for o in paths_)
            ]
    return []


def _add(collected: Annotations, task: Mapping[str, Any], taxonomy: Taxonomy | None) -> None:
    annotations = [annotation for annotation in task["annotations"] if isinstance(annotation, dict)]
    submitted = [
        annotation
        for annotation in annotations
        if not annotation.get("was_cancelled") and annotated_path(annotation)
    ]
    if not submitted:
        collected.skipped += bool(annotations)
        collected.open += not annotations
        return
    product, images = task_product(task)
    truths = [annotation for annotation in submitted if annotation.get("ground_truth")]
    in_order = sorted(truths or submitted, key=lambda annotation: str(annotation.get("updated_at")))
    latest = {_annotator(annotation): annotation for annotation in in_order}
    votes = Counter(annotated_path(annotation)[0] for annotation in latest.values())
    (best, votes_of_best), *others = votes.most_common()
    if others and others[0][1] == votes_of_best:
        collected.disagreements.append(product.id)
        return
    if taxonomy is not None and taxonomy.find(best) is None:
        collected.unknown[best] += 1
        return
    collected.several += any(len(annotated_path(annotation)) > 1 for annotation in latest.values())
    urls = [source for source in images if source.lower().startswith(("http://", "https://"))]
    collected.rows.append(
        {"id": product.id, "category": best, "fields": dict(product.fields), "images": urls}
    )


def _annotator(annotation: Mapping[str, Any]) -> str:
    person = annotation.get("completed_by")
    if isinstance(person, dict):
        person = person.get("id") or person.get("email")
    return f"annotation {annotation.get('id')}" if person is None else str(person)
