"""Rules: read, set, roll back."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from aisle.errors import MissingExtraError
from aisle.rules import RulesError, Ruleset
from aisle.server.errors import ApiError
from aisle.server.model_registry import RegistryState
from aisle.server.routes.request_io import json_response
from aisle.server.routing import AuthFirstRoute
from aisle.server.schemas.common import error_responses
from aisle.server.schemas.rules import RulesHistoryOut, RulesIn, RulesOut
from aisle.server.security import Admin
from aisle.server.state import ServerDep
from aisle.server.store import rules as rules_store

router = APIRouter(tags=["rules"], route_class=AuthFirstRoute, responses=error_responses(409))


@router.get("/v1/rules", summary="Show the rules", response_model=RulesOut)
def rules(server: ServerDep, key: Admin) -> Response:
    """The rules that act on the live model's predictions."""
    state = server.registry.state
    return json_response(_rules_json(state.get().predictor.rules, state))


@router.put("/v1/rules", summary="Set the rules", response_model=RulesOut)
async def set_rules(sent: RulesIn, server: ServerDep, key: Admin) -> Response:
    """They act on all predictions from now on; requests in progress keep the rules they began with. 422 with
    the rule and its line if they are malformed, or do not fit one of the models."""

    def change() -> dict[str, Any]:
        try:
            read = Ruleset.parse(sent.text, read_list=sent.lists.__getitem__)
        except (RulesError, MissingExtraError) as error:
            raise ApiError(422, "bad_rules", str(error)) from error
        if sent.check_only:
            server.registry.check_rules(read)
            return _rules_json(read, server.registry.state)
        record = partial(rules_store.record, server.store, key.person, rules_store.SET, read)
        return _rules_json(read, server.registry.set_rules(read, record))

    return json_response(await run_in_threadpool(change))


@router.get("/v1/rules/history", summary="List changes of the rules", response_model=RulesHistoryOut)
def rules_history(server: ServerDep, key: Admin) -> Response:
    """Who changed them when; the latest first."""
    return json_response({"changes": rules_store.history(server.store)})


@router.post("/v1/rules/rollback", summary="Roll back to the previous rules", response_model=RulesOut)
def rules_rollback(server: ServerDep, key: Admin) -> Response:
    """At once. Before the first version are the rules that the models were saved with."""
    stack = rules_store.versions(server.store)
    if len(stack) < 2:
        raise ApiError(409, "no_previous_rules", "the rules were never changed")
    before = stack[-2].read()
    record = partial(rules_store.record, server.store, key.person, rules_store.ROLLED_BACK, before)
    state = server.registry.set_rules(before, record)
    return json_response(_rules_json(state.get().predictor.rules, state))


def _rules_json(rules: Ruleset | None, state: RegistryState) -> dict[str, Any]:
    is_bundled = state.rules is None
    if rules is None:
        return {
            "version": None,
            "text": "",
            "lists": {},
            "rules": 0,
            "expired": [],
            "saved_with_model": is_bundled,
        }
    return {
        "version": rules.digest,
        "text": rules.text,
        "lists": {name: list(entries) for name, entries in rules.lists.items()},
        "rules": len(rules.rules),
        "expired": rules.expired,
        "saved_with_model": is_bundled,
    }
