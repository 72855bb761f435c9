"""`/v1/taxonomy`."""

from aisle.server.schemas.common import Out


class NodeOut(Out):
    """A category. `products`: training products at or below it; `accuracy`: of the test products labelled
    there, the share that was placed there, where the run was evaluated."""

    id: str
    path: list[str]
    parent: str | None
    assignable: bool
    children: int
    products: int
    judged: int | None = None
    accuracy: float | None = None


class TaxonomyOut(Out):
    """Categories in depth-first order."""

    model: str
    model_id: str
    fingerprint: str
    total: int
    nodes: list[NodeOut]
