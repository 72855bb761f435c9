"""What an audit found: labels by how likely they are to be wrong, with what speaks against each."""

import csv
from pathlib import Path
from typing import Literal

from pydantic import Field

from aisle.atomic_files import atomic_text
from aisle.data.text import spreadsheet_text
from aisle.evaluation.scores import ResultRecord
from aisle.evaluation.shown_products import Thumbnail
from aisle.taxonomy import format_path

LIKELY = 0.5  # from this chance on a label counts as likely wrong

COLUMNS = (
    "rank", "id", "row", "present", "proposed", "chance", "suspicion", "where", "confidence",
    "present_confidence", "others", "neighbors_present", "neighbors_proposed", "text_prediction",
    "image_prediction", "duplicates", "duplicates_agree", "reasons", "title",
)  # fmt: skip


class SimilarProduct(ResultRecord):
    """A product near to the one in question, and where it is labelled."""

    id: str
    title: str
    path: tuple[str, ...]
    similarity: float
    image: Thumbnail


class AuditFinding(ResultRecord):
    """One label. `row`: the record's number in the source, from 1. `chance` (estimated) that it is wrong;
    `suspicion`: what it is ranked by, 0 to 1. `where`: the first level at which label and proposal differ is
    the last one (`sibling`: the same parent), the top one (`top`), or between (`branch`).

    `confidence`, `present_confidence`: the calibrated confidence in the proposal and in the label of models
    that have not seen the product. `others`: further products so labelled. `neighbors_…`: their shares of
    the nearest products' vote. `text_prediction`, `image_prediction`: predictions from the text alone and
    from the images alone. `duplicates_agree`: the share of the `duplicates` with the same label. Null:
    unknown.
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
    """A category: `products` labelled so, `wrong` of them by the sum of chances, `likely` by count."""

    path: tuple[str, ...]
    products: int
    wrong: float
    likely: int


class Audit(ResultRecord):
    """A catalog's labels, most suspicious first. `audited` = `rows` less `unlabelled` and `faulty`.

    `share`: of labels estimated to be wrong. `likely`: labels whose chance is at least one half; `siblings`
    of them would move to a sibling only. `findings` holds at most as many as were asked for.
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
        """`audit.csv`, `audit.jsonl`, `audit.json` (the summary) and `audit.html`; returns the page's path.

        Raises:
            OSError: the folder cannot be written.
        """
        from aisle.evaluation.audit.page import render

        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        with atomic_text(home / "audit.csv") as handle:
            table = csv.writer(handle, lineterminator="\n")
            table.writerow(COLUMNS)
            for finding in self.findings:
                values = {name: getattr(finding, name) for name in COLUMNS}
                values["reasons"] = "; ".join(finding.reasons)  # sentences; other tuples are paths
                table.writerow([_cell(value) for value in values.values()])
        with atomic_text(home / "audit.jsonl") as handle:
            handle.writelines(finding.model_dump_json() + "\n" for finding in self.findings)
        with atomic_text(home / "audit.json") as handle:
            handle.write(self.model_dump_json(indent=1, exclude={"findings"}))
        with atomic_text(home / "audit.html") as handle:
            handle.write(render(self))
        return home / "audit.html"


def _cell(value: object) -> object:
    """As a spreadsheet shows it; what a spreadsheet would run as a formula is kept a text."""
    if isinstance(value, tuple):
        value = format_path(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return spreadsheet_text(value)
    return "" if value is None else value
