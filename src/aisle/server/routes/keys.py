"""API keys: list, create, revoke."""

from fastapi import APIRouter, Path, Response

from aisle.server.errors import ApiError
from aisle.server.routes.request_io import json_response
from aisle.server.routing import AuthFirstRoute
from aisle.server.schemas.common import error_responses
from aisle.server.schemas.keys import CreatedKeyOut, KeyIn, KeysOut
from aisle.server.security import Admin
from aisle.server.state import ServerDep
from aisle.server.store import keys as keys_store

router = APIRouter(tags=["keys"], route_class=AuthFirstRoute, responses=error_responses(404, 409))


@router.get("/v1/keys", summary="List API keys", response_model=KeysOut)
def list_keys(server: ServerDep, key: Admin) -> Response:
    """Without their secrets, which are not stored."""
    names = ("id", "person", "role", "created", "revoked")
    rows = [{name: getattr(one, name) for name in names} for one in keys_store.list_keys(server.store)]
    return json_response({"keys": [row | {"yours": row["id"] == key.id} for row in rows]})


@router.post("/v1/keys", summary="Create an API key", response_model=CreatedKeyOut, status_code=201)
def create_key(sent: KeyIn, server: ServerDep, key: Admin) -> Response:
    """The first key of a server must be an administrator's: from then on every request needs a key."""
    if server.open and sent.role != "admin":
        raise ApiError(
            409, "first_key", "the first key must be of role admin: after it every request needs one"
        )
    secret = keys_store.add(server.store, sent.person, sent.role)
    server.keys.reload()
    return json_response({"secret": secret}, status=201)


@router.delete("/v1/keys/{key_id}", summary="Revoke an API key", status_code=204)
def revoke_key(server: ServerDep, key: Admin, key_id: str = Path(max_length=200)) -> Response:
    """At once. The last administrator's key stays."""
    valid = {one.id: one for one in keys_store.list_keys(server.store) if one.revoked is None}
    if key_id not in valid:
        raise ApiError(404, "no_such_key", "there is no valid key with this id")
    if {one.id for one in valid.values() if one.role == "admin"} == {key_id}:
        raise ApiError(409, "last_admin", "this is the last administrator's key: create another one first")
    keys_store.revoke(server.store, key_id)
    server.keys.reload()
    return Response(status_code=204)
