"""`/v1/keys`."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from aisle.server.schemas.common import NO_NUL, RequestModel, ResponseModel

RoleName = Literal["seller", "reviewer", "admin"]


class KeyIn(RequestModel):
    """A key to create: its person and role."""

    person: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NO_NUL)
    ]
    role: RoleName


class KeyOut(ResponseModel):
    """A key; `created` and `revoked` in ms since 1970. `yours`: the key of this request."""

    id: str
    person: str
    role: RoleName
    created: int
    revoked: int | None
    yours: bool


class KeysOut(ResponseModel):
    """All keys, revoked ones too, the oldest first."""

    keys: list[KeyOut]


class CreatedKeyOut(ResponseModel):
    """A new key. `secret` cannot be shown again."""

    secret: str
