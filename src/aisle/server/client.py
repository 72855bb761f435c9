"""A typed Python client of the server.

with Client("http://127.0.0.1:8000", key="aisle_…") as client:
    for result in client.classify([Product("A-17", {"title": "red shoes"})]):
        print(result.prediction.decision if result.prediction else result.error)
"""

import base64
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Any, Self
from urllib.parse import quote

import httpx2 as httpx

from aisle.data import Product
from aisle.errors import AisleError
from aisle.guarantee import Prediction
from aisle.guarantee.prediction import Alternative
from aisle.taxonomy import DELIMITER, CategoryPath, Node, Taxonomy

_RETRIES = 4
_MAX_RETRY_AFTER = 30  # seconds


class ServerResponseError(AisleError):
    """The server refused, failed, or cannot be reached.

    Attributes:
        status: The HTTP status; 0 without a response.
        code: The server's error code.
    """

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True)
class ClassifyResult:
    """A product's prediction or error; `models` has each model's prediction if several were asked for."""

    id: str
    prediction: Prediction | None
    error: str | None
    models: dict[str, Prediction]


@dataclass(frozen=True)
class SearchHit:
    """A product of the server's index.

    Attributes:
        id: Its id.
        title: Its title.
        fields: All its texts.
        category: Its category.
        score: What hits are ordered by.
        similarity: Cosine with the query; None if it was found by words only.
        bm25: BM25 score; None if it was found by similarity only.
    """

    id: str
    title: str
    fields: dict[str, str]
    category: CategoryPath
    score: float
    similarity: float | None
    bm25: float | None


@dataclass(frozen=True)
class Suggestion:
    """A category, its confidence, and why. `feedback` sends the token back."""

    id: str
    path: CategoryPath
    confidence: float
    reason: str
    token: str | None = None


class Client:
    """Sends requests to a server, and retries after the time that a busy server names.

    Args:
        address: The server's URL.
        key: A key from `aisle keys add`.
        timeout: Seconds that a response may take.
        batch_size: Products in one request of `classify`.
        session: An httpx client to use instead of a new one.
        sleep: Called with the seconds before a retry.
    """

    def __init__(
        self,
        address: str,
        key: str | None = None,
        timeout: float = 60,
        *,
        batch_size: int = 200,
        session: Any = None,
        sleep: Any = time.sleep,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = session or httpx.Client(base_url=address, headers=headers, timeout=timeout)
        self._batch_size, self._sleep = batch_size, sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def classify(self, products: Iterable[Product], models: Sequence[str] = ()) -> Iterator[ClassifyResult]:
        """One result for each product, in order.

        Args:
            products: Any number of products.
            models: Models to compare; the live one if empty.

        Raises:
            ServerResponseError: The server refuses or cannot be reached.
        """
        waiting = iter(products)
        params = {"models": ",".join(models)} if models else {}
        while batch := list(islice(waiting, self._batch_size)):
            body = {"products": [_product_json(product) for product in batch]}
            for result in self._request("POST", "/v1/classify", json=body, params=params)["results"]:
                yield ClassifyResult(
                    result["id"],
                    _prediction(result["prediction"]) if result["prediction"] else None,
                    result["error"]["message"] if result["error"] else None,
                    {
                        name: _prediction(prediction)
                        for name, prediction in (result.get("models") or {}).items()
                    },
                )

    def suggest(
        self, title: str, count: int = 5, *, fields: Mapping[str, str] | None = None, finished: bool = False
    ) -> list[Suggestion]:
        """The categories of highest confidence for a title as far as it is typed.

        Args:
            title: The title.
            count: How many categories.
            fields: Other texts of the product, such as `description`.
            finished: The last word is not completed.

        Raises:
            ServerResponseError: The server refuses or cannot be reached.
        """
        body = {"title": title, "count": count, "fields": dict(fields or {}), "finished": finished}
        response = self._request("POST", "/v1/suggest", json=body)
        token = response.get("token")
        return [
            Suggestion(**{**suggestion, "path": tuple(suggestion["path"]), "token": token})
            for suggestion in response["suggestions"]
        ]

    def search(
        self,
        query: str | Product = "",
        *,
        more_like: str | None = None,
        where: str | None = None,
        count: int = 20,
    ) -> list[SearchHit]:
        """The best hits of the server's index.

        Args:
            query: Words, or a product with a title, an image or both.
            more_like: The id of a product of the index, instead of a query.
            where: A filter.
            count: How many hits.

        Raises:
            ServerResponseError: No index is served, or the filter is malformed.
        """
        product = query if isinstance(query, Product) else Product("", {"title": query} if query else {})
        body = {
            "query": product.fields.get("title", ""),
            "images": _product_json(product)["images"][:1],
            "more_like": more_like,
            "where": where,
            "count": count,
        }
        hits = self._request("POST", "/v1/search", json=body)["products"]
        for hit in hits:
            del hit["images"]
        return [SearchHit(**{**hit, "category": tuple(hit["category"])}) for hit in hits]

    def taxonomy(self, model: str | None = None) -> Taxonomy:
        """The tree of a model; the live one's for None."""
        response = self._request("GET", "/v1/taxonomy", params={"model": model} if model else {})
        return Taxonomy(
            Node(node["id"], tuple(node["path"]), node["assignable"]) for node in response["nodes"]
        )

    def feedback(
        self,
        product: Product,
        chosen: str | CategoryPath,
        *,
        suggested: Sequence[Suggestion] = (),
        how: str | None = None,
        person: str | None = None,
    ) -> int:
        """Store where a product belongs; retries are counted once.

        Args:
            product: The product.
            chosen: The category's id or path.
            suggested: All suggestions for this product, in order.
            how: `chosen`, `accepted` or `default` (nobody looked); derived from `suggested` if None.
            person: Whose choice it is; the key's person if None.

        Returns:
            The number of the stored feedback.

        Raises:
            ServerResponseError: The suggestions were made for another product.
        """
        body = {
            "product": _product_json(product),
            "chosen": chosen if isinstance(chosen, str) else DELIMITER.join(chosen),
            "suggested": [
                {"id": suggestion.id, "confidence": suggestion.confidence} for suggestion in suggested
            ],
            "how": how,
            "token": suggested[0].token if suggested else None,
            "person": person,
        }
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return self._request("POST", "/v1/feedback", json=body, headers=headers)["id"]

    def enqueue(
        self,
        products: Iterable[Product],
        priorities: Iterable[float],
        *,
        labels: Iterable[str] | None = None,
        notes: Iterable[str] | None = None,
        include_accepted: bool = True,
    ) -> int:
        """Put products into the review queue.

        Args:
            products: Any number of products.
            priorities: Of each; the queue is ordered by it times the chance that the model is wrong.
            labels: The category that each has now, a path or id; reviewers see it and may keep it.
            notes: A note on each for reviewers.
            include_accepted: Also those that the model accepts.

        Returns:
            How many are queued.

        Raises:
            ServerResponseError: The server refuses or cannot be reached.
        """
        texts = [repeat(None) if given is None else given for given in (labels, notes)]
        waiting, queued = zip(zip(products, priorities, strict=True), *texts, strict=False), 0
        params = {"include_accepted": include_accepted}
        while batch := list(islice(waiting, self._batch_size)):
            rows = [
                {**_product_json(one), "priority": priority, "label": label, "note": note}
                for (one, priority), label, note in batch
            ]
            body = {"products": rows}
            found = self._request("POST", "/v1/review/items", json=body, params=params, retry=False)
            queued += found["queued"]
        return queued

    def models(self) -> dict[str, Any]:
        """The server's models: `live`, `shadow`, `previous`, and `models` with their metrics."""
        return self._request("GET", "/v1/models")

    def load(self, name: str, folder: str) -> dict[str, Any]:
        """Load a model from below the server's library. Returns as `models`.

        Raises:
            ServerResponseError: It cannot be loaded, or the server has no library.
        """
        return self._request("POST", "/v1/models", json={"name": name, "folder": folder})

    def remove(self, name: str) -> dict[str, Any]:
        """Remove a model that is not live. Returns as `models`."""
        return self._request("DELETE", f"/v1/models/{quote(name, safe='')}")

    def shadow(self, name: str | None) -> dict[str, Any]:
        """Make a model the shadow; None for no shadow. Returns as `models`."""
        return self._request("POST", "/v1/shadow", json={"model": name})

    def promote(self, name: str) -> dict[str, Any]:
        """Make a model live if it is not worse on the golden set.

        Returns:
            As `models`, with the `comparison`.

        Raises:
            ServerResponseError: It is worse, or there is no golden set.
        """
        return self._request("POST", f"/v1/models/{quote(name, safe='')}/promote", retry=False)

    def roll_back(self) -> dict[str, Any]:
        """Make the previous model live. Returns as `models`."""
        return self._request("POST", "/v1/models/rollback", retry=False)

    def _request(self, method: str, path: str, *, retry: bool = True, **request: Any) -> Any:
        """`retry`: whether to repeat a request of which nobody knows if the server received it."""
        for attempt in range(_RETRIES):
            last = attempt == _RETRIES - 1
            try:
                response = self._http.request(method, path, **request)
            except httpx.HTTPError as error:
                if last or not (retry or isinstance(error, httpx.ConnectError)):
                    where = self._http.base_url
                    raise ServerResponseError(f"{where}: {error or type(error).__name__}") from error
                self._sleep(0.2 * 2**attempt)
                continue
            if response.status_code < 400:
                return response.json()
            wait = response.headers.get("retry-after", "")
            busy = response.status_code in (429, 503) and wait.isdigit() and int(wait) <= _MAX_RETRY_AFTER
            if last or not busy:
                raise _error(response)
            self._sleep(int(wait))
        raise AssertionError("unreachable")


def _product_json(product: Product) -> dict[str, Any]:
    images = [{"base64": base64.b64encode(image.read()).decode()} for image in product.images]
    return {"id": product.id or None, "fields": dict(product.fields), "images": images}


def _prediction(data: dict[str, Any]) -> Prediction:
    """The inverse of `Prediction.to_dict`."""
    path = {name: tuple(data[name].split(DELIMITER)) if data[name] else () for name in ("best", "path")}
    alternatives = tuple(
        Alternative(tuple(alternative["path"].split(DELIMITER)), alternative["confidence"])
        for alternative in data["alternatives"]
    )
    rest = {"confidence": tuple(data["confidence"]), "problems": tuple(data["problems"])}
    return Prediction(**{**data, **path, **rest, "alternatives": alternatives})


def _error(response: Any) -> ServerResponseError:
    try:
        error = response.json()["error"]
        return ServerResponseError(error["message"], response.status_code, error["code"])
    except (ValueError, KeyError, TypeError):
        return ServerResponseError(f"the server answered {response.status_code}", response.status_code)
