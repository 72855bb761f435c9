"""Result of an audit: labels ranked by how likely they are wrong, with the evidence."""

import csv
from pathlib import Path
from typing import Literal

from pydantic import Field

from aisle.atomic_files import atomic_text
from aisle.data.text import spreadsheet_text
from aisle.evaluation.scores import ResultRecord
from aisle.evaluation.shown_products import Thumbnail
from aisle.taxonomy import format_path

LIKELY = 0.5  # minimum probability of a likely wrong label

COLUMNS = (
    "rank", "id", "row", "present", "proposed", "chance", "suspicion", "where", "confidence",
    "present_confidence", "others", "neighbors_present", "neighbors_proposed", "text_prediction",
    "image_prediction", "duplicates", "duplicates_agree", "reasons", "title",
)  # fmt: skip


class SimilarProduct(ResultRecord):
    """A similar product and its label."""

    id: str
    title: str
    path: tuple[str, ...]
    similarity: float
    image: Thumbnail


class AuditFinding(ResultRecord):
    """One label, and the evidence against it. Null values are unknown.

    Attributes:
        row: The record's number in the source, from 1.
        present: The label.
        proposed: The proposed category.
        chance: Estimated probability that the label is wrong.
        suspicion: The ranking score, 0 to 1.
        where: The first level at which label and proposal differ: the last one (`sibling`), the top one
            (`top`), or one between (`branch`).
        confidence: Calibrated out-of-fold confidence in the proposal.
        present_confidence: The same for the label.
        others: Further products with the same label.
        neighbors_present: Share of the nearest products' vote for the label.
        neighbors_proposed: The same for the proposal.
        text_prediction: Prediction from the text alone.
        image_prediction: Prediction from the images alone.
        duplicates: Number of duplicates.
        duplicates_agree: Share of the duplicates with the same label.
    """

    rank: int
    row: int
    id: str
    title: str
    present: tuple[str, ...]
    proposed: tuple[str, ...]
    chance: float
    suspicion: float
    where: Literal["top", "branch", "sibling"]
    confidence: float
    present_confidence: float
    others: int
    neighbors_present: float | None
    neighbors_proposed: float | None
    text_prediction: tuple[str, ...] | None
    image_prediction: tuple[str, ...] | None
    duplicates: int
    duplicates_agree: float | None
    reasons: tuple[str, ...]
    text: str = Field(default="", exclude=True)
    image: Thumbnail = Field(default=Thumbnail(state="none"), exclude=True)
    nearest: tuple[SimilarProduct, ...] = Field(default=(), exclude=True)


class CategoryErrors(ResultRecord):
    """The number of likely wrong labels of a category.

    Attributes:
        products: Products with this label.
        wrong: Expected number of wrong labels: the sum of `chance`.
        likely: Labels whose `chance` is at least one half.
    """

    path: tuple[str, ...]
    products: int
    wrong: float
    likely: int


class Audit(ResultRecord):
    """The audit of a catalog's labels.

    Attributes:
        audited: `rows` less `unlabelled` and `faulty`.
        share: Estimated share of wrong labels.
        likely: Labels whose `chance` is at least one half.
        siblings: Those of them whose proposal is a sibling of the label.
        findings: The most suspicious labels first, at most the requested number.
    """

    source: str
    recipe: str
    folds: int
    rows: int
    audited: int
    unlabelled: int
    faulty: int
    share: float
    likely: int
    siblings: int
    categories: tuple[CategoryErrors, ...]
    findings: tuple[AuditFinding, ...]

    def write(self, folder: str | Path) -> Path:
        """Write `audit.csv`, `audit.jsonl`, `audit.json` (the summary) and `audit.html`; returns the page.

        Raises:
            OSError: The folder cannot be written.
        """
        from aisle.evaluation.audit.page import render

        folder_path = Path(folder)
        folder_path.mkdir(parents=True, exist_ok=True)
        with atomic_text(folder_path / "audit.csv") as handle:
            table = csv.writer(handle, lineterminator="\n")
            table.writerow(COLUMNS)
            for finding in self.findings:
                values = {name: getattr(finding, name) for name in COLUMNS}
                values["reasons"] = "; ".join(finding.reasons)  # sentences; other tuples are paths
                table.writerow([_cell(value) for value in values.values()])
        with atomic_text(folder_path / "audit.jsonl") as handle:
            handle.writelines(finding.model_dump_json() + "\n" for finding in self.findings)
        with atomic_text(folder_path / "audit.json") as handle:
            handle.write(self.model_dump_json(indent=1, exclude={"findings"}))
        with atomic_text(folder_path / "audit.html") as handle:
            handle.write(render(self))
        return folder_path / "audit.html"


def _cell(value: object) -> object:
    """The value as a CSV cell; a text that a spreadsheet would run as a formula is escaped."""
    if isinstance(value, tuple):
        value = format_path(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return spreadsheet_text(value)
    return "" if value is None else value
