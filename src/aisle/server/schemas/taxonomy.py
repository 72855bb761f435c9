"""`/v1/taxonomy`."""

from aisle.server.schemas.common import ResponseModel


class NodeOut(ResponseModel):
    """A category. `products`: training products at or below it; `test_products`: test products labelled with
    it, if the run was evaluated; `accuracy`: the share of these that were predicted correctly."""

    id: str
    path: list[str]
    parent: str | None
    assignable: bool
    children: int
    products: int
    test_products: int | None = None
    accuracy: float | None = None


class TaxonomyOut(ResponseModel):
    """Categories in depth-first order."""

    model: str
    model_id: str
    fingerprint: str
    total: int
    nodes: list[NodeOut]
