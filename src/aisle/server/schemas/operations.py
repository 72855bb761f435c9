"""`/ready`."""

from aisle.server.schemas.common import ResponseModel


class ReadyOut(ResponseModel):
    """Whether the server can respond, by check. `problem`: what is wrong with the store."""

    ready: bool
    checks: dict[str, bool]
    problem: str | None = None
