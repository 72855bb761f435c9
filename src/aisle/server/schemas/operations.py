"""`/ready`."""

from aisle.server.schemas.common import Out


class ReadyOut(Out):
    """Whether requests can be answered, and what would stand in the way. `problem`: what is wrong with the
    store."""

    ready: bool
    checks: dict[str, bool]
    problem: str | None = None
