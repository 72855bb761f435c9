"""An audit as one self-contained HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aisle.evaluation.pages import environment

if TYPE_CHECKING:
    from aisle.evaluation.audit.result import Audit


def render(audit: Audit) -> str:
    """The page's HTML: the findings that carry images, those that leave their branch first."""
    shown = [f for f in audit.findings if f.nearest or f.image.state != "none" or f.rank <= 100]
    return (
        environment()
        .get_template("audit.html")
        .render(
            a=audit,
            far=[f for f in shown if f.where != "sibling"],
            close=[f for f in shown if f.where == "sibling"],
        )
    )
