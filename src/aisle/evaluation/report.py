"""An evaluation as one self-contained HTML page, and as JSON beside it.

The page asks nothing of the outside (its content security policy forbids it, scripts included), and
whatever users wrote is escaped.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from aisle.evaluation.plots import coverage_plot, reliability_plot
from aisle.evaluation.result import Evaluation, NodeScore
from aisle.taxonomy import CategoryPath

PAGE, NUMBERS = "report.html", "report.json"
NODES = 6000  # more rows make a page too heavy for a phone; the JSON holds all of them


@dataclass(frozen=True)
class Branch:
    """A node's score with those below it."""

    score: NodeScore
    children: list["Branch"] = field(default_factory=list)


def write(evaluation: Evaluation, folder: Path) -> Path:
    """Write `report.html` and `report.json` into a folder (made if need be); the page's path is returned.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NUMBERS).write_text(evaluation.to_json(), encoding="utf-8")
    page = folder / PAGE
    page.write_text(render(evaluation), encoding="utf-8")
    return page


def render(evaluation: Evaluation) -> str:
    """The page's HTML."""
    environment = Environment(
        loader=PackageLoader("aisle.evaluation", "."),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "points": points, "decimal": decimal, "count": count}
    environment.globals |= {"apart": apart, "points": points, "step": step}
    source = environment.loader.get_source(environment, "report.css")[0]  # type: ignore[union-attr]
    shown = evaluation.nodes if len(evaluation.nodes) <= NODES else _shallow(evaluation.nodes)
    return environment.get_template(PAGE).render(
        e=evaluation,
        css=Markup(source),
        reliability=Markup(reliability_plot(evaluation.reliability)),
        coverage=Markup(coverage_plot(evaluation.coverage, evaluation.decisions)),
        tree=grow(shown),
        hidden=len(evaluation.nodes) - len(shown),
    )


def grow(nodes: Sequence[NodeScore]) -> list[Branch]:
    """Nodes in tree order as nested branches."""
    tops: list[Branch] = []
    above: list[Branch] = []
    for node in nodes:
        branch = Branch(node)
        while above and above[-1].score.path != node.path[: len(above[-1].score.path)]:
            above.pop()
        (above[-1].children if above else tops).append(branch)
        above.append(branch)
    return tops


def apart(path: CategoryPath, other: CategoryPath) -> list[tuple[str, bool]]:
    """Each part of `path`, and whether `other` has it too at this place."""
    shared = 0
    while shared < min(len(path), len(other)) and path[shared] == other[shared]:
        shared += 1
    return [(part, i < shared) for i, part in enumerate(path)]


def percent(share: float | None, digits: int = 1) -> str:
    """`0.634` -> `63.4 %`; a dash where there is no number."""
    return "–" if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def points(difference: float | None, digits: int = 1) -> str:
    """`-0.021` -> `−2.1`: a difference of shares, in percentage points."""
    return "–" if difference is None else f"{100 * difference:+.{digits}f}".replace("-", "−")


def decimal(value: float | None, digits: int = 3) -> str:
    """`0.4056` -> `0.406`."""
    return "–" if value is None else f"{value:.{digits}f}"


def step(difference: float | None) -> str:
    """`-0.0749` -> `−0.075`: a difference of F1s."""
    return "–" if difference is None else f"{difference:+.3f}".replace("-", "−")


def count(number: int | None) -> str:
    """`1063` -> `1,063`."""
    return "–" if number is None else f"{number:,}"


def _shallow(nodes: Sequence[NodeScore]) -> list[NodeScore]:
    """The upper levels, as many as fit."""
    depth = max(len(n.path) for n in nodes)
    while depth > 1 and sum(len(n.path) <= depth for n in nodes) > NODES:
        depth -= 1
    return [n for n in nodes if len(n.path) <= depth][:NODES]
