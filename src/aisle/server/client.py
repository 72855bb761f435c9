"""A small typed client of a running server.

with Client("http://127.0.0.1:8000", key="aisle_…") as shop:
    for answer in shop.classify([Product("A-17", {"title": "red shoes"})]):
        print(answer.prediction.decision if answer.prediction else answer.error)
"""

import base64
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2 as httpx

from aisle.data import Product
from aisle.errors import AisleError
from aisle.guarantee import Prediction
from aisle.guarantee.prediction import Alternative
from aisle.taxonomy import DELIMITER, CategoryPath, Node, Taxonomy

BATCH = 200  # products in a request
_TRIES = 4
_PATIENCE = 30.0  # seconds that a server may ask to wait


class ServerAnswerError(AisleError):
    """The server refused, failed, or cannot be reached. status: 0 where there was no answer; code: the
    server's own word for it."""

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True)
class Answer:
    """What became of one product. models: each one's prediction, where several were asked."""

    id: str
    prediction: Prediction | None
    error: str | None
    models: dict[str, Prediction]


@dataclass(frozen=True)
class Found:
    """A product of the server's index. score: what hits are ordered by; similarity: cosine with the query;
    words: its BM25 score; None where it was not found that way."""

    id: str
    title: str
    fields: dict[str, str]
    category: CategoryPath
    score: float
    similarity: float | None
    words: float | None


@dataclass(frozen=True)
class Suggestion:
    """A full path, the confidence in it, and why. token: ties it to the text that it was made for; `feedback`
    sends it back."""

    id: str
    path: CategoryPath
    confidence: float
    reason: str
    token: str | None = None


class Client:
    """Asks a server; where it is busy, waits as long as it says and asks again.

    key: from `aisle keys add`. seconds: that an answer may take.
    """

    def __init__(self, address: str, key: str | None = None, seconds: float = 60) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def classify(self, products: Iterable[Product], models: Sequence[str] = ()) -> Iterator[Answer]:
        """One answer a product, in order; any number of them. models: several to compare.

        Raises:
            ServerAnswerError: the server refuses or cannot be reached.
        """
        waiting = iter(products)
        params = {"models": ",".join(models)} if models else {}
        while batch := list(islice(waiting, BATCH)):
            sent = {"products": [_sent(product) for product in batch]}
            for entry in self._ask("POST", "/v1/classify", json=sent, params=params)["answers"]:
                yield Answer(
                    entry["id"],
                    _prediction(entry["prediction"]),
                    entry["error"]["message"] if entry["error"] else None,
                    {name: _known(one) for name, one in (entry.get("models") or {}).items()},
                )

    def suggest(
        self,
        title: str,
        count: int = 5,
        *,
        fields: Mapping[str, str] | None = None,
        finished: bool = False,
    ) -> list[Suggestion]:
        """The categories of highest confidence for a title as far as it is typed. fields: what else is known
        of the product (`description`, …). finished: the last word is no beginning of another."""
        sent = {"title": title, "count": count, "fields": dict(fields or {}), "finished": finished}
        found = self._ask("POST", "/v1/suggest", json=sent)
        token = found.get("token")
        return [
            Suggestion(**{**one, "path": tuple(one["path"]), "token": token}) for one in found["suggestions"]
        ]

    def search(
        self, query: str | Product = "", *, like: str | None = None, where: str | None = None, count: int = 20
    ) -> list[Found]:
        """Products of the server's index, the most like the query first. query: words, or a product with a
        title, a picture or both; like: the id of a product of the index instead. where: a filter.

        Raises:
            ServerAnswerError: no index is served, or the filter cannot be read.
        """
        asked = query if isinstance(query, Product) else Product("", {"title": query} if query else {})
        sent = {"query": asked.fields.get("title", ""), "images": _sent(asked)["images"][:1]}
        body = {**sent, "like": like, "where": where, "count": count}
        told = self._ask("POST", "/v1/search", json=body)["products"]
        return [
            Found(**{**{k: v for k, v in one.items() if k != "pictures"}, "category": tuple(one["category"])})
            for one in told
        ]

    def taxonomy(self, model: str | None = None) -> Taxonomy:
        """The tree that answers are about."""
        told = self._ask("GET", "/v1/taxonomy", params={"model": model} if model else {})
        return Taxonomy(Node(one["id"], tuple(one["path"]), one["assignable"]) for one in told["nodes"])

    def feedback(
        self,
        product: Product,
        chosen: str | CategoryPath,
        *,
        suggested: Sequence[Suggestion] = (),
        how: str | None = None,
        person: str | None = None,
    ) -> int:
        """Say where a product belongs; its number, once it is on disk. Asked again after a broken
        connection, it is still counted once.

        suggested: as `suggest` gave them for these very words, all of them in order. how: `chosen`,
        `accepted` or `default` (nobody looked); found by itself otherwise.

        Raises:
            ServerAnswerError: the suggestions were made for another product.
        """
        body = {
            "product": _sent(product),
            "chosen": chosen if isinstance(chosen, str) else DELIMITER.join(chosen),
            "suggested": [{"id": one.id, "confidence": one.confidence} for one in suggested],
            "how": how,
            "token": suggested[0].token if suggested else None,
            "person": person,
        }
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return self._ask("POST", "/v1/feedback", json=body, headers=headers)["id"]

    def models(self) -> dict[str, Any]:
        """The server's models: `live`, `shadow`, `before`, and `models` with what was measured of each."""
        return self._ask("GET", "/v1/models")

    def load(self, name: str, folder: str) -> dict[str, Any]:
        """Load a model from below the server's library; as `models`.

        Raises:
            ServerAnswerError: it cannot be loaded, or the server has no library.
        """
        return self._ask("POST", "/v1/models", json={"name": name, "folder": folder})

    def remove(self, name: str) -> dict[str, Any]:
        """Let a model go that is not live; as `models`."""
        return self._ask("DELETE", f"/v1/models/{quote(name, safe='')}")

    def shadow(self, name: str | None) -> dict[str, Any]:
        """Let a model answer along, unseen; None: no model does. As `models`."""
        return self._ask("POST", "/v1/shadow", json={"model": name})

    def promote(self, name: str) -> dict[str, Any]:
        """Let a model answer, if it gets at least as many products of the fixed set right as the live one:
        as `models`, and what was `measured`.

        Raises:
            ServerAnswerError: it is worse, or there is no fixed set.
        """
        return self._ask("POST", f"/v1/models/{quote(name, safe='')}/promote", again=False)

    def roll_back(self) -> dict[str, Any]:
        """Let the model answer that did before; as `models`."""
        return self._ask("POST", "/v1/models/rollback", again=False)

    def _ask(self, method: str, path: str, *, again: bool = True, **request: Any) -> Any:
        """again: whether it may be asked anew where nobody knows if the server heard it."""
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            try:
                answer = self._http.request(method, path, **request)
            except httpx.HTTPError as error:
                if last or not (again or isinstance(error, httpx.ConnectError)):
                    where = self._http.base_url
                    raise ServerAnswerError(f"{where}: {error or type(error).__name__}") from error
                time.sleep(0.2 * 2**attempt)
                continue
            if answer.status_code < 400:
                return answer.json()
            wait = answer.headers.get("retry-after", "")
            if last or answer.status_code not in (429, 503) or not wait.isdigit() or int(wait) > _PATIENCE:
                raise _refused(answer)
            time.sleep(int(wait))
        raise AssertionError("unreachable")


def _sent(product: Product) -> dict[str, Any]:
    pictures = [{"base64": base64.b64encode(image.read()).decode()} for image in product.images]
    return {"id": product.id or None, "fields": dict(product.fields), "images": pictures}


def _prediction(told: dict[str, Any] | None) -> Prediction | None:
    return None if told is None else _known(told)


def _known(told: dict[str, Any]) -> Prediction:
    """A `Prediction` from its JSON; the other way round is `Prediction.to_dict`."""
    path = {name: tuple(told[name].split(DELIMITER)) if told[name] else () for name in ("best", "path")}
    others = (
        Alternative(tuple(one["path"].split(DELIMITER)), one["confidence"]) for one in told["alternatives"]
    )
    rest = {"confidence": tuple(told["confidence"]), "problems": tuple(told["problems"])}
    return Prediction(**{**told, **path, **rest, "alternatives": tuple(others)})


def _refused(answer: httpx.Response) -> ServerAnswerError:
    try:
        fault = answer.json()["error"]
        return ServerAnswerError(fault["message"], answer.status_code, fault["code"])
    except (ValueError, KeyError, TypeError):
        return ServerAnswerError(f"the server answered {answer.status_code}", answer.status_code)
