"""How routes read bodies and write answers, past what frameworks do for small objects one by one."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import Future
from typing import Annotated, Any

from fastapi import Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from aisle.guarantee import Prediction
from aisle.server.batching import FailedAnswerError
from aisle.server.models import Slot
from aisle.server.problems import ApiError
from aisle.server.routing import parsed
from aisle.server.settings import Limits
from aisle.server.state import Server

_FIELDS = 200
_PIECE = 256 * 1024


def answer(data: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(json.dumps(data, ensure_ascii=False), 200, headers, "application/json")


async def read_body(request: Request, server: Server) -> tuple[Any, dict[str, bytes]]:
    """The JSON of a request, and the files of a multipart one by their parts' names.

    Raises:
        ApiError: neither of the two, or broken.
        HTTPException: the same, or larger than it may be.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return await request.json(), {}
    if kind == "multipart/form-data":
        body, limits = await request.body(), server.settings.limits
        return await run_in_threadpool(_multipart, request.headers, body, limits)
    raise ApiError(415, "unsupported", "send application/json or multipart/form-data")


def _multipart(headers: Headers, body: bytes, limits: Limits) -> tuple[Any, dict[str, bytes]]:
    """In a thread: the parser is slow where a form is made of small parts."""
    try:
        texts, files = asyncio.run(_form(headers, body, limits))
    except (MultiPartException, KeyError, ValueError, AssertionError) as error:
        raise ApiError(400, "bad_multipart", f"the form cannot be read: {str(error)[:200]}") from error
    if not texts and not files:
        raise ApiError(400, "bad_multipart", "the form is empty")
    if "products" in texts:
        sent = parsed(texts["products"].encode("utf-8", "replace"), limits.values)
        return (sent if isinstance(sent, dict) else {"products": sent}), files
    # Without JSON the fields are one product and the files its pictures: what a plain form sends.
    known = {name: texts.pop(name) for name in ("id", "title", "description") if name in texts}
    product = {**known, "fields": texts, "images": [{"file": name} for name in files]}
    return {"products": [product]}, files


async def _form(headers: Headers, body: bytes, limits: Limits) -> tuple[dict[str, str], dict[str, bytes]]:
    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), _PIECE):
            yield body[start : start + _PIECE]

    parser = MultiPartParser(
        headers, pieces(), max_files=limits.products * 2, max_fields=_FIELDS, max_part_size=limits.body
    )
    parser.spool_max_size = limits.body  # it is in memory already
    form = await parser.parse()
    texts, files = {}, {}
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                place = name if name not in files else f"{name}-{len(files)}"
                files[place] = await value.read()
            else:
                texts[name] = value
    finally:
        await form.close()
    return texts, files


def products_of(sent: Any, most: int) -> list[Any]:
    """The `products` of a body, not yet looked at one by one.

    Raises:
        ApiError: there is no such list, it is empty or too long.
    """
    if not isinstance(sent, dict) or not isinstance(sent.get("products"), list):
        raise ApiError(422, "bad_request", 'send {"products": [{"title": …}, …]}')
    unknown = sorted(map(str, sent.keys() - {"products"}))
    if unknown:
        raise ApiError(422, "bad_request", f"unknown key {unknown[0][:80]!r}; there is only products")
    if not sent["products"]:
        raise ApiError(422, "bad_request", "products is empty: send at least one")
    if len(sent["products"]) > most:
        raise ApiError(422, "too_many_products", f"at most {most:,} products a request; send several")
    return sent["products"]


def slots_of(server: Server, names: str | None) -> list[Slot]:
    """The models named, or the live one; each once.

    Raises:
        ApiError: there is none of a name.
    """
    standing = server.models.standing
    if not names:
        return [standing.slot(None)]
    return [standing.slot(name.strip()) for name in dict.fromkeys(names.split(",")) if name.strip()] or [
        standing.slot(None)
    ]


MOST = 2**31 - 1  # the largest number that every store knows
Number = Annotated[int, Path(ge=1, le=MOST)]


def check_number(number: int) -> None:
    """Of a thing in the store.

    Raises:
        ApiError: there cannot be such a thing.
    """
    if not 1 <= number <= MOST:
        raise ApiError(404, "no_such_item", f"there is no item {number}")


async def asked(future: "Future[list[Any]]") -> list[Any]:
    """What the batcher answers; hanging up takes the question back."""
    return await asyncio.wrap_future(future)


def told(prediction: Prediction | FailedAnswerError, problems: Sequence[str]) -> dict[str, Any]:
    """A prediction as JSON, with what could not be had of the product.

    Raises:
        FailedAnswerError: the model failed on it.
    """
    if isinstance(prediction, FailedAnswerError):
        raise prediction
    data = prediction.to_dict()
    data["problems"] = [*problems, *data["problems"]]
    return data
