"""Reading request bodies and writing JSON responses."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Annotated, Any

from fastapi import Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from aisle.guarantee import Prediction
from aisle.server.batching import FailedPredictionError
from aisle.server.errors import ApiError
from aisle.server.model_registry import ServedModel
from aisle.server.routing import parse_json
from aisle.server.settings import RequestLimits
from aisle.server.state import Server

_MAX_FIELDS = 200
_CHUNK = 256 * 1024
_MAX_ID = 2**31 - 1  # of rows in the store
ItemId = Annotated[int, Path(ge=1, le=_MAX_ID)]


def json_response(data: Any, headers: Mapping[str, str] | None = None, status: int = 200) -> Response:
    """A JSON response."""
    return Response(json.dumps(data, ensure_ascii=False), status, headers, "application/json")


async def read_body(request: Request, server: Server) -> tuple[Any, dict[str, bytes]]:
    """The JSON of a request, and the files of a multipart one by name.

    Raises:
        ApiError: The body is neither JSON nor multipart, or malformed.
        HTTPException: The same, or it is too large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return await request.json(), {}
    if kind == "multipart/form-data":
        body, limits = await request.body(), server.settings.limits
        return await run_in_threadpool(_parse_multipart, request.headers, body, limits)
    raise ApiError(415, "unsupported", "send application/json or multipart/form-data")


def _parse_multipart(headers: Headers, body: bytes, limits: RequestLimits) -> tuple[Any, dict[str, bytes]]:
    """In a thread: parsing a form of many small parts is slow."""
    try:
        texts, files = asyncio.run(_parse_form(headers, body, limits))
    except (MultiPartException, KeyError, ValueError, AssertionError) as error:
        raise ApiError(400, "bad_multipart", f"the form cannot be read: {str(error)[:200]}") from error
    if not texts and not files:
        raise ApiError(400, "bad_multipart", "the form is empty")
    if "products" in texts:
        sent = parse_json(texts["products"].encode("utf-8", "replace"), limits.max_json_values)
        return (sent if isinstance(sent, dict) else {"products": sent}), files
    # A plain form: its fields are one product, its files that product's images.
    known = {name: texts.pop(name) for name in ("id", "title", "description") if name in texts}
    product = {**known, "fields": texts, "images": [{"file": name} for name in files]}
    return {"products": [product]}, files


async def _parse_form(
    headers: Headers, body: bytes, limits: RequestLimits
) -> tuple[dict[str, str], dict[str, bytes]]:
    async def chunks() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), _CHUNK):
            yield body[start : start + _CHUNK]

    parser = MultiPartParser(
        headers,
        chunks(),
        max_files=limits.max_products * 2,
        max_fields=_MAX_FIELDS,
        max_part_size=limits.max_body_bytes,
    )
    parser.spool_max_size = limits.max_body_bytes  # it is in memory already
    form = await parser.parse()
    texts, files = {}, {}
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name if name not in files else f"{name}-{len(files)}"] = await value.read()
            else:
                texts[name] = value
    finally:
        await form.close()
    return texts, files


def product_list(sent: Any, max_products: int) -> list[Any]:
    """The `products` of a body, not yet parsed.

    Raises:
        ApiError: There is no such list, or it is empty or too long.
    """
    if not isinstance(sent, dict) or not isinstance(sent.get("products"), list):
        raise ApiError(422, "bad_request", 'send {"products": [{"title": …}, …]}')
    unknown = sorted(map(str, sent.keys() - {"products"}))
    if unknown:
        raise ApiError(422, "bad_request", f"unknown key {unknown[0][:80]!r}; there is only products")
    if not sent["products"]:
        raise ApiError(422, "bad_request", "products is empty: send at least one")
    if len(sent["products"]) > max_products:
        raise ApiError(422, "too_many_products", f"at most {max_products:,} products a request; send several")
    return sent["products"]


def select_models(server: Server, names: str | None) -> list[ServedModel]:
    """The models of a comma-separated list, each once; the live one for None.

    Raises:
        ApiError: There is no model of a name.
    """
    state = server.registry.state
    requested = dict.fromkeys((names or "").split(","))
    return [state.get(name.strip()) for name in requested if name.strip()] or [state.get()]


def check_item_id(item_id: int) -> None:
    """Refuse an id that the store cannot hold.

    Raises:
        ApiError: 404.
    """
    if not 1 <= item_id <= _MAX_ID:
        raise ApiError(404, "no_such_item", f"there is no item {item_id}")


def prediction_json(
    prediction: Prediction | FailedPredictionError, problems: Sequence[str]
) -> dict[str, Any]:
    """A prediction as JSON, with the problems of reading the product.

    Raises:
        FailedPredictionError: The model failed on it.
    """
    if isinstance(prediction, FailedPredictionError):
        raise prediction
    data = prediction.to_dict()
    data["problems"] = [*problems, *data["problems"]]
    return data
