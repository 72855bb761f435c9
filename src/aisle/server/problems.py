"""What goes wrong with a request, as every route says it: a status, a short code, one line."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException

from aisle.errors import AisleError


class ServerError(AisleError):
    """The server cannot be started, or a command about its store cannot be carried out."""


class ApiError(AisleError):
    """An answer other than 200. code: for programs, never changes; message: for people."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, dict(headers or {})


class BodyError(HTTPException):
    """A body that cannot be read. FastAPI lets only its own kind of error through from there."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, message)
        self.code = code


class BusyError(ApiError):
    """More is waiting than may; `seconds`: when it is worth asking again."""

    def __init__(self, seconds: int) -> None:
        message = f"too much is waiting already; ask again in {seconds} s"
        super().__init__(503, "busy", message, {"Retry-After": str(seconds)})


class ItemError(AisleError):
    """One product of a request cannot be answered; its neighbours can."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
