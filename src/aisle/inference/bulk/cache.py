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
from aisle.inference.batches import ProductRows, file_names
from aisle.models.features import content_key
from aisle.progress import Advance
from aisle.taxonomy import Taxonomy

WINDOW = 4096  # rows looked up together: a multiple of models' batch sizes
CACHE_SIZE = 32_768  # predictions, of about a kilobyte each


class StreamPredictor(Protocol):
    """The methods of a model that bulk classification calls."""

    @property
    def model_id(self) -> str:
        """A hash of the model and its guarantee."""
        ...

    @property
    def taxonomy(self) -> Taxonomy:
        """The category tree."""
        ...

    def predict_stream(self, products: Any, advance: Advance | None = None) -> Iterator[Prediction]:
        """One prediction per product, in order."""
        ...


class InputKey(NamedTuple):
    """The parts of a product that a model reads.

    Attributes:
        fields: names of the fields; None for all.
        images: number of images.
        id: whether the product's id counts: a rule names it.
        source: whether the file that the product comes from counts: a rule names it.
    """

    fields: tuple[str, ...] | None
    images: int
    id: bool = False
    source: bool = False

    @classmethod
    def of(cls, model: Any) -> "InputKey":
        """The parts that a model with `inputs`, and its rules, read; the whole product for other models."""
        rules = getattr(model, "rules", None)
        if rules is not None:
            read = cls.of_inputs(model)
            fields = None if read.fields is None else tuple(sorted({*read.fields, *rules.named_fields}))
            return cls(fields, read.images, "id" in rules.named_fields, rules.names_sources)
        return cls.of_inputs(model)

    @classmethod
    def of_inputs(cls, model: Any) -> "InputKey":
        """The parts that a model with `inputs` reads, without its rules."""
        members = [cls.of_inputs(member) for member in getattr(model, "members", ())]
        views = getattr(model, "inputs", None)
        if views is not None:
            fields = [field for view in views for field in view.fields]
            images = [view.images for view in views if view.modality == "image"]
            names = None if "*" in fields else tuple(sorted(set(fields)))
            members.append(cls(names, max(images, default=0)))
        if not members:
            return cls(None, 2**31)
        images = max(member.images for member in members)
        if any(member.fields is None for member in members):
            return cls(None, images)
        return cls(tuple(sorted({field for member in members for field in member.fields or ()})), images)

    def key(self, product: Product, source: str = "") -> bytes:
        """A 16-byte hash of the parts of a product that the model reads, and of its file's name."""
        names = sorted(product.fields) if self.fields is None else self.fields
        digest = hashlib.blake2b(digest_size=16)
        for name in names:
            if name in product.fields:
                digest.update(f"{name}\0{product.fields[name]}\0".encode("utf-8", "surrogatepass"))
        if self.id:
            digest.update(f"id\0{product.id}\0".encode("utf-8", "surrogatepass"))
        if self.source:
            digest.update(f"source\0{source}\0".encode("utf-8", "surrogatepass"))
        for name in sorted(product.vectors):
            digest.update(name.encode() + content_key(product.vectors[name]))
        images = product.images[: self.images]
        if images:
            digest.update(b"images" + content_key(images))
        return digest.digest()


class CachedPredictions:
    """Predictions for the rows of a catalog, with a least-recently-used cache.

    Args:
        model: the model.
        cache_size: predictions kept; 0 for no cache.

    Attributes:
        hits: rows predicted from the cache.
    """

    def __init__(self, model: StreamPredictor, cache_size: int = CACHE_SIZE) -> None:
        self.model, self.cache_size, self.hits = model, cache_size, 0
        self._inputs = InputKey.of(model)
        self._cache: OrderedDict[bytes, Prediction] = OrderedDict()

    def __call__(self, catalog: Catalog, advance: Advance | None = None) -> Iterator[Prediction]:
        """Predict the rows of a catalog.

        Args:
            catalog: the rows.
            advance: called with the number of rows done.

        Yields:
            One prediction per row, in order.
        """
        products, fatal, start = iter(catalog), catalog.fatal, 0
        with_problems = set(catalog.problems.rows_with().tolist())
        while window := list(islice(products, WINDOW)):
            rows = range(start, start + len(window))
            numbers = catalog.rows[start : start + len(window)].tolist()
            problems = [
                catalog.problems_of(row) if number in with_problems else ()
                for row, number in zip(rows, numbers, strict=True)
            ]
            sources = file_names(catalog, start, len(window)) if self._inputs.source else None
            batch = ProductRows(window, problems, fatal[start : start + len(window)], sources)
            yield from self._predict_window(batch, advance)
            start += len(window)

    def _predict_window(self, rows: ProductRows, advance: Advance | None) -> Iterator[Prediction]:
        if not self.cache_size:
            yield from self.model.predict_stream(rows, advance)
            return
        sources = rows.sources or [""] * len(rows.products)
        # A prediction holds the problems of its row, so only rows without problems share one.
        keys = [
            None if problems else self._inputs.key(product, source)
            for product, problems, source in zip(rows.products, rows.problems, sources, strict=True)
        ]
        known = {key: self._cache[key] for key in keys if key is not None and key in self._cache}
        missing: list[int] = []  # the first row of each new key, and rows with problems
        new_keys: set[bytes] = set()
        for i, key in enumerate(keys):
            if key is None or (key not in known and key not in new_keys):
                missing.append(i)
                if key is not None:
                    new_keys.add(key)
        computed = iter(self.model.predict_stream(_select(rows, missing), advance))
        missing_rows = set(missing)
        for i, (product, key) in enumerate(zip(rows.products, keys, strict=True)):
            if i in missing_rows:
                prediction = next(computed)
                if key is not None:
                    known[key] = prediction
            else:
                assert key is not None
                prediction = dataclasses.replace(known[key], id=product.id)
                self.hits += 1
                if advance:
                    advance(1)
            if key is not None and not any(map(is_temporary, prediction.problems)):
                self._add(key, prediction)
            yield prediction
        next(computed, None)  # ends the generator, which reports its last batch

    def _add(self, key: bytes, prediction: Prediction) -> None:
        self._cache[key] = prediction
        self._cache.move_to_end(key)
        if len(self._cache) > self.cache_size:
            self._cache.popitem(last=False)


def _select(rows: ProductRows, numbers: Sequence[int]) -> ProductRows:
    if len(numbers) == len(rows.products):
        return rows
    products, problems = [rows.products[i] for i in numbers], [rows.problems[i] for i in numbers]
    sources = None if rows.sources is None else [rows.sources[i] for i in numbers]
    return ProductRows(products, problems, rows.fatal[numbers], sources)
