"""Requests made from the schema itself: whatever fits it or does not, the server answers as it says."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.server.test_security import key

pytestmark = pytest.mark.slow
PATIENT = settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


def already_started(app):
    """The application without its start and end: Schemathesis would do both around each call."""

    async def call(scope, receive, send):
        if scope["type"] != "lifespan":
            return await app(scope, receive, send)
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return None

    return call


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"], ids=["fits", "does not"])
def test_every_route_answers_as_the_schema_says(client, mode):
    import schemathesis
    from schemathesis.specs.openapi import checks

    mode = schemathesis.GenerationMode[mode]
    expected = [
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    app = already_started(client.app)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers={"Host": "127.0.0.1"})
    admin = key(client, "admin")  # else the first key that is created would shut out the rest
    asked = []

    def ask(operation):
        @PATIENT
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case):
            case.headers = {**(case.headers or {}), "Host": "127.0.0.1", **admin}
            answer = case.call()
            assert answer.status_code not in (500, 503), answer.text
            case.validate_response(answer, checks=expected)

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
