"""The API's documentation page: Swagger UI, served locally."""

import importlib.resources
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

INTRODUCTION = """
Classify products, suggest categories while a title is typed, and store what people choose.

Requests carry a key (`Authorization: Bearer …`, made by `aisle keys add`). A server without keys that only
its own machine reaches needs none. Every response has an `X-Request-ID`, which is also in the server's log.
Errors are `{"error": {"code", "message", "request_id"}}`.
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Aisle: the API</title>
<link rel="icon" href="docs/assets/favicon.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<main id="api"></main>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json", dom_id: "#api", deepLinking: true, persistAuthorization: false,
  validatorUrl: null, tryItOutEnabled: true, defaultModelsExpandDepth: 0,
});
"""


def add(app: FastAPI) -> None:
    """Add `/docs`, its script and its assets."""

    @app.get("/docs", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(_PAGE)

    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    folder: Any = importlib.resources.files("fastapi_offline") / "static"
    app.mount("/docs/assets", StaticFiles(directory=str(folder)), "docs-assets")
