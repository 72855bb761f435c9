"""An evaluation as one self-contained HTML page.

The page asks nothing of the outside (its content security policy forbids it, scripts included), and
whatever users wrote is escaped.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from aisle.evaluation.numbers import count, decimal, percent, points, step
from aisle.evaluation.panels import branch_panels, level_panels
from aisle.evaluation.plots import coverage_plot, reliability_plot
from aisle.evaluation.result import Evaluation, NodeScore
from aisle.taxonomy import CategoryPath

NODES = 6000  # more rows make a page too heavy for a phone; the JSON holds all of them


@dataclass(frozen=True)
class Branch:
    """A node's score with those below it."""

    score: NodeScore
    children: list["Branch"] = field(default_factory=list)


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
    return environment.get_template("report.html").render(
        e=evaluation,
        css=Markup(source),
        reliability=Markup(reliability_plot(evaluation.reliability)),
        coverage=Markup(coverage_plot(evaluation.coverage, evaluation.decisions)),
        levels=level_panels(evaluation),
        branches=branch_panels(evaluation),
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


def _shallow(nodes: Sequence[NodeScore]) -> list[NodeScore]:
    """The upper levels, as many as fit."""
    depth = max(len(n.path) for n in nodes)
    while depth > 1 and sum(len(n.path) <= depth for n in nodes) > NODES:
        depth -= 1
    return [n for n in nodes if len(n.path) <= depth][:NODES]
