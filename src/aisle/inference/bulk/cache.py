"""A cache of predictions: products with equal inputs are classified once.

The cache holds the most recent predictions within one shard, so a shard depends on its own rows only: a
resumed run, or one on several machines, writes the same bytes.
"""

import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

from aisle.data import Catalog, Product
from aisle.data.images import is_temporary
from aisle.guarantee import Prediction
from aisle.inference.base_predictor import ProductRows
from aisle.models.features import content_key
from aisle.progress import Advance

WINDOW = 4096  # rows looked at together: a multiple of what models take at once
CACHE_SIZE = 32_768  # answers, of about a kilobyte each


class StreamPredictor(Protocol):
    """The methods of a model that bulk classification calls."""

    @property
    def model_id(self) -> str:
        """Names these very weights and promises."""
        ...

    def predict_stream(self, products: Any, advance: Advance | None = None) -> Iterator[Prediction]:
        """One prediction a product, in order."""
        ...


class InputKey(NamedTuple):
    """What a model looks at in a product: fields by name (None: all), and how many of its pictures."""

    fields: tuple[str, ...] | None
    pictures: int

    @classmethod
    def of(cls, model: Any) -> "InputKey":
        """Of a model that tells; everything where it does not."""
        members = [cls.of(member) for member in getattr(model, "members", ())]
        views = getattr(model, "inputs", None)
        if views is not None:
            fields = [field for view in views for field in view.fields]
            pictures = [view.images for view in views if view.modality == "image"]
            members.append(
                cls(None if "*" in fields else tuple(sorted(set(fields))), max(pictures, default=0))
            )
        if not members:
            return cls(None, 2**31)
        every = any(member.fields is None for member in members)
        known = {field for member in members for field in member.fields or ()}
        return cls(None if every else tuple(sorted(known)), max(member.pictures for member in members))

    def key(self, product: Product) -> bytes:
        """16 bytes that differ where anything differs that the model looks at."""
        names = sorted(product.fields) if self.fields is None else self.fields
        digest = hashlib.blake2b(digest_size=16)
        for name in names:
            if name in product.fields:
                digest.update(f"{name}\0{product.fields[name]}\0".encode("utf-8", "surrogatepass"))
        for name in sorted(product.vectors):
            digest.update(name.encode() + content_key(product.vectors[name]))
        pictures = product.images[: self.pictures]
        if pictures:
            digest.update(b"pictures" + content_key(pictures))
        return digest.digest()


class CachedPredictions:
    """Predictions for a catalog's rows, those of identical listings from memory.

    remembered: how many answers are kept, the least recently used forgotten first; 0: none. hits: rows that
    were answered from memory so far.
    """

    def __init__(self, model: StreamPredictor, cache_size: int = CACHE_SIZE) -> None:
        self.model, self.cache_size, self.hits = model, cache_size, 0
        self._reads = InputKey.of(model)
        self._kept: OrderedDict[bytes, Prediction] = OrderedDict()

    def __call__(self, catalog: Catalog, advance: Advance | None = None) -> Iterator[Prediction]:
        """One prediction a row, in order. advance: told how many are done."""
        products, fatal, start = iter(catalog), catalog.fatal, 0
        odd = set(catalog.problems.rows_with().tolist())  # few: the others need not be looked up
        while some := list(islice(products, WINDOW)):
            rows = range(start, start + len(some))
            numbers = catalog.rows[start : start + len(some)].tolist()
            numbered = zip(rows, numbers, strict=True)
            problems = [catalog.problems_of(row) if number in odd else () for row, number in numbered]
            listed = ProductRows(some, problems, fatal[start : start + len(some)])
            yield from self._window(listed, advance)
            start += len(some)

    def _window(self, listed: ProductRows, advance: Advance | None) -> Iterator[Prediction]:
        if not self.cache_size:
            yield from self.model.predict_stream(listed, advance)
            return
        # What is odd about a row is told in its answer, so only rows without problems share one.
        keys = [
            None if told else self._reads.key(product)
            for product, told in zip(listed.products, listed.problems, strict=True)
        ]
        known = {key: self._kept[key] for key in keys if key is not None and key in self._kept}
        asked: list[int] = []
        first: set[bytes] = set()
        for i, key in enumerate(keys):
            if key is None or (key not in known and key not in first):
                asked.append(i)
                if key is not None:
                    first.add(key)
        found = iter(self.model.predict_stream(_some(listed, asked), advance))
        ask = set(asked)
        for i, (product, key) in enumerate(zip(listed.products, keys, strict=True)):
            if i in ask:
                answer = next(found)
                if key is not None:
                    known[key] = answer
            else:
                assert key is not None
                answer = dataclasses.replace(known[key], id=product.id)
                self.hits += 1
                if advance:
                    advance(1)
            if key is not None and not any(map(is_temporary, answer.problems)):
                self._keep(key, answer)
            yield answer
        next(found, None)  # so that it comes to its end, and tells of its last batch

    def _keep(self, key: bytes, answer: Prediction) -> None:
        self._kept[key] = answer
        self._kept.move_to_end(key)
        if len(self._kept) > self.cache_size:
            self._kept.popitem(last=False)


def _some(listed: ProductRows, rows: Sequence[int]) -> ProductRows:
    if len(rows) == len(listed.products):
        return listed
    return ProductRows(
        [listed.products[i] for i in rows], [listed.problems[i] for i in rows], listed.fatal[rows]
    )
