"""How routes read bodies and write answers, past what frameworks do for small objects one by one."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Annotated, Any

from fastapi import Path, Request, Response
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from aisle.decision import Prediction
from aisle.server.batching import FailedAnswerError
from aisle.server.models import Slot
from aisle.server.problems import ApiError
from aisle.server.state import Server

_FIELDS = 200


def answer(data: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(json.dumps(data, ensure_ascii=False), 200, headers, "application/json")


async def read_body(request: Request, server: Server) -> tuple[Any, dict[str, bytes]]:
    """The JSON of a request, and the files of a multipart one by their parts' names.

    Raises:
        ApiError: neither of the two, or broken.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return _parsed(await request.body()), {}
    if kind == "multipart/form-data":
        return await _multipart(request, server)
    raise ApiError(415, "unsupported", "send application/json or multipart/form-data")


def _parsed(text: bytes | str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ApiError(400, "bad_json", "the body is nested too deeply") from error
    except ValueError as error:
        raise ApiError(400, "bad_json", f"the body is not JSON: {str(error)[:200]}") from error


async def _multipart(request: Request, server: Server) -> tuple[Any, dict[str, bytes]]:
    limits = server.settings.limits
    parser = MultiPartParser(
        request.headers,
        request.stream(),
        max_files=limits.products * 2,
        max_fields=_FIELDS,
        max_part_size=limits.body,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, AssertionError) as error:
        raise ApiError(400, "bad_multipart", f"the form cannot be read: {str(error)[:200]}") from error
    texts, files = {}, {}
    async with _closing(form):
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                place = name if name not in files else f"{name}-{len(files)}"
                files[place] = await value.read()
            else:
                texts[name] = value
    if not texts and not files:
        raise ApiError(400, "bad_multipart", "the form is empty")
    if "products" in texts:
        sent = _parsed(texts["products"])
        return (sent if isinstance(sent, dict) else {"products": sent}), files
    # Without JSON the fields are one product and the files its pictures: what a plain form sends.
    known = {name: texts.pop(name) for name in ("id", "title", "description") if name in texts}
    product = {**known, "fields": texts, "images": [{"file": name} for name in files]}
    return {"products": [product]}, files


class _closing:  # noqa: N801
    def __init__(self, form: Any) -> None:
        self.form = form

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        await self.form.close()


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
