"""Requests made from the schema itself: whatever fits it or does not, the server answers as it says."""

from contextlib import asynccontextmanager

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.slow
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
PATIENT = settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@asynccontextmanager
async def _nothing(app):
    yield


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fits", "does not"])
def test_every_route_answers_as_the_schema_says(client, mode, monkeypatch):
    # Schemathesis starts and ends the application around each call: this one stays.
    monkeypatch.setattr(client.app.router, "lifespan_context", _nothing)
    schema = schemathesis.openapi.from_asgi("/openapi.json", client.app, headers={"Host": "127.0.0.1"})
    asked = []

    def ask(operation):
        @PATIENT
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case):
            case.headers = {**(case.headers or {}), "Host": "127.0.0.1"}
            answer = case.call()
            assert answer.status_code not in (500, 503), answer.text
            case.validate_response(answer, checks=CHECKS)

        run()
        asked.append(operation.label)

    for found in schema.get_all_operations():
        operation = found.ok()
        try:
            ask(operation)
        except Exception as error:
            if type(error).__name__ not in ("Unsatisfiable", "InvalidArgument"):
                raise
    assert len(asked) >= 15, asked
