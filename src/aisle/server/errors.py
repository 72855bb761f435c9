"""Errors of the API: a status, a stable code and a message of one line."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException

from aisle.errors import AisleError


class ServerError(AisleError):
    """The server cannot start, or a command on its store cannot be carried out."""


class ApiError(AisleError):
    """An error response. `code` is for programs and never changes, the message is for people."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, dict(headers or {})


class BodyError(HTTPException):
    """A body that cannot be read. FastAPI passes on only `HTTPException` from there."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, message)
        self.code = code


class BusyError(ApiError):
    """Too much is queued; the client may retry after `seconds`."""

    def __init__(self, seconds: int) -> None:
        message = f"too much is waiting already; ask again in {seconds} s"
        super().__init__(503, "busy", message, {"Retry-After": str(seconds)})


class ItemError(AisleError):
    """One product of a request cannot be classified; the others can."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
