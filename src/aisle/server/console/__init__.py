"""The console: pages for sellers and reviewers, plain files that use nothing but the public API."""

import importlib.resources
from os import PathLike, stat_result
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_FOLDER: Any = importlib.resources.files(__name__)
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class _Files(StaticFiles):
    """Asked for anew each time, so that a page never runs with the scripts of an older version."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Only what belongs to pages: not this file."""
        if not any(path.endswith(kind) for kind in _KINDS):
            path = "none"
        return await super().get_response(path, scope)

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """With its kind, whatever this machine's table of kinds says, and `no-cache`."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        kind = next(kind for ending, kind in _KINDS.items() if str(full_path).endswith(ending))
        response.headers["Content-Type"] = f"{kind}; charset=utf-8"
        response.headers["Cache-Control"] = "no-cache"
        return response


def add(app: FastAPI) -> None:
    """`/`, and its scripts and styles below `/console`."""
    files = _Files(directory=str(_FOLDER))

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    app.mount("/console", files, "console")
