"""The console: static pages for sellers and reviewers that use the public API."""

import importlib.resources
from os import PathLike, stat_result
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_FOLDER: Any = importlib.resources.files(__name__)
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class _ConsoleFiles(StaticFiles):
    """Static files that browsers revalidate, so that a page never runs with older scripts."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The response for a page's file; 404 for Python files."""
        if not path.endswith(tuple(_TYPES)):
            path = "none"
        return await super().get_response(path, scope)

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """With a fixed content type and `no-cache`."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        kind = next(kind for suffix, kind in _TYPES.items() if str(full_path).endswith(suffix))
        response.headers["Content-Type"] = f"{kind}; charset=utf-8"
        response.headers["Cache-Control"] = "no-cache"
        return response


def add(app: FastAPI) -> None:
    """Add `/`, and its scripts and styles below `/console`."""
    files = _ConsoleFiles(directory=str(_FOLDER))

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    app.mount("/console", files, "console")
