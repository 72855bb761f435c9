"""An evaluation as one self-contained HTML page.

The page loads no external resource (its content security policy forbids it, scripts included), and text
of users is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup

from aisle.evaluation.pages import environment
from aisle.evaluation.panels import branch_panels, level_panels
from aisle.evaluation.plots import coverage_plot, reliability_plot

if TYPE_CHECKING:
    from aisle.evaluation.result import Evaluation
    from aisle.evaluation.scores import NodeScore

NODES = 6000  # more rows make a page too heavy for a phone; the JSON holds all of them


@dataclass(frozen=True)
class TreeNode:
    """A node's score with those below it."""

    score: NodeScore
    children: list[TreeNode] = field(default_factory=list)


def render(evaluation: Evaluation) -> str:
    """The page's HTML."""
    shown = evaluation.nodes if len(evaluation.nodes) <= NODES else _upper_levels(evaluation.nodes)
    return (
        environment()
        .get_template("report.html")
        .render(
            e=evaluation,
            reliability=Markup(reliability_plot(evaluation.reliability)),
            coverage=Markup(coverage_plot(evaluation.coverage, evaluation.decisions)),
            levels=level_panels(evaluation),
            branches=branch_panels(evaluation),
            tree=nested(shown),
            hidden=len(evaluation.nodes) - len(shown),
        )
    )


def nested(nodes: Sequence[NodeScore]) -> list[TreeNode]:
    """Nodes in tree order as nested branches."""
    roots: list[TreeNode] = []
    ancestors: list[TreeNode] = []
    for node in nodes:
        branch = TreeNode(node)
        while ancestors and ancestors[-1].score.path != node.path[: len(ancestors[-1].score.path)]:
            ancestors.pop()
        (ancestors[-1].children if ancestors else roots).append(branch)
        ancestors.append(branch)
    return roots


def _upper_levels(nodes: Sequence[NodeScore]) -> list[NodeScore]:
    """The upper levels, as many as fit."""
    depth = max(len(n.path) for n in nodes)
    while depth > 1 and sum(len(n.path) <= depth for n in nodes) > NODES:
        depth -= 1
    return [n for n in nodes if len(n.path) <= depth][:NODES]
