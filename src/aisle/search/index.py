"""An index as its users hold it: products in, the products most like them out."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from aisle.data import Catalog, ImageRef, Product
from aisle.data.images import ImageError, decode
from aisle.errors import BundleError, SearchError, did_you_mean
from aisle.progress import SILENT, Progress
from aisle.search.embedding import embed_batches, embed_queries, modalities, text_field
from aisle.search.filters import Condition, field_tests, parse
from aisle.search.manifest import IndexVersion, Manifest, new_folder, read_manifest, writing
from aisle.search.ranking import DEPTH, RankedRow, by_score, fuse
from aisle.search.rows import filter_columns, not_numbers, text_of, to_arrow
from aisle.search.store import IndexStore, StoredRow, create
from aisle.taxonomy import DELIMITER

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor

SearchMode = Literal["both", "vectors", "words"]


@dataclass(frozen=True)
class Hit:
    """A product found. score: what hits are ordered by; similarity: the cosine with the query (-1 to 1) and
    words: its BM25 score, each None where it was not found that way. image: its first image."""

    id: str
    score: float
    similarity: float | None
    words: float | None
    fields: Mapping[str, str]
    category: tuple[str, ...]
    image: ImageRef | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON writes it; a image by its path."""
        path = self.image.path if self.image else None
        return {
            "id": self.id,
            "score": round(self.score, 6),
            "similarity": None if self.similarity is None else round(self.similarity, 6),
            "words": None if self.words is None else round(self.words, 4),
            "category": DELIMITER.join(self.category),
            "fields": dict(self.fields),
            "image": str(path) if path else None,
        }


class Index:
    """The products of one index folder. Safe to be asked from several threads, and while others write.

    model: the one that made it, where it is at hand; else it is loaded when a query first needs it, from
    where the index remembers it. `open` and `build` make one.
    """

    def __init__(
        self,
        folder: Path,
        store: IndexStore,
        manifest: Manifest,
        model: "Predictor | None" = None,
        *,
        fixed: bool = False,
        trust_code: bool = False,
    ) -> None:
        self.folder, self.manifest = folder, manifest
        self._store, self._model, self._fixed, self._trust_code = store, model, fixed, trust_code

    def __len__(self) -> int:
        return len(self.store)

    def __repr__(self) -> str:
        return f"Index({len(self):,} products, model {self.manifest.model_id})"

    @property
    def store(self) -> IndexStore:
        """The rows of the newest version, or of the one that was asked for."""
        if not self._fixed:
            self._store = self._store.latest()
        return self._store

    @property
    def versions(self) -> Sequence[IndexVersion]:
        """Those that can still be opened, oldest first."""
        return self.store.manifest.versions

    @property
    def fields(self) -> tuple[str, ...]:
        """What `where` can ask of."""
        return tuple(self.manifest.columns)

    @property
    def text_field(self) -> str:
        """The field that words of a query stand in."""
        return self.manifest.text_field

    @property
    def model(self) -> "Predictor":
        """The model that made the index.

        Raises:
            SearchError: it is not where it was, or another one is there now.
        """
        if self._model is None:
            self._model = _loaded(self.folder, self.manifest, Path(self.manifest.model), self._trust_code)
        return self._model

    # -- asking -------------------------------------------------------------------------------

    def search(
        self, products: Iterable[Product], k: int = 10, where: str | None = None, mode: SearchMode = "both"
    ) -> list[list[Hit]]:
        """For each query the k products most like it, best first. A query is a product with views missing.

        where: a filter, such as `"category under 'Apparel' and price < 50"`. mode: vectors, words, or both
        fused (`aisle.search.ranking`).

        Raises:
            SearchError: a filter that cannot be read, or a query that holds nothing to search by.
        """
        asked, store = list(products), self.store
        if k < 1:
            raise SearchError(f"k is how many products are wanted, at least 1, not {k}")
        condition = self.condition(where, store)
        words = [text_of(product) if mode != "vectors" else "" for product in asked]
        vectors = self._vectors(asked, words) if mode != "words" else [None] * len(asked)
        if mode == "words" and not all(words):
            raise SearchError("a query without words cannot be searched by words alone")
        depth = max(DEPTH, 2 * k)
        ranked = []
        for vector, text in zip(vectors, words, strict=True):
            near = store.nearest(vector, depth, condition) if vector is not None else []
            told = store.matching(text, depth, condition) if text else []
            if (
                vector is not None and near and told
            ):  # what the words found is as alike as it is, not as if it were not at all
                known = {one.row for one in near}
                near += store.cosines(vector, [one.row for one in told if one.row not in known])
            ranked.append(fuse(near, told) if near and told else by_score(near, told))
        return self._hits([found[:k] for found in ranked], store)

    def count(self, where: str | None = None) -> int:
        """How many products there are, or how many a filter lets through.

        Raises:
            SearchError: the filter cannot be read.
        """
        store = self.store
        condition = self.condition(where, store)
        return len(store) if condition is None else store.matches(condition)

    def more_like(self, product: str, k: int = 10, where: str | None = None) -> list[Hit]:
        """The k products most like one of the index, itself left out; the model is not needed.

        Raises:
            SearchError: it is not in the index, or the filter cannot be read.
        """
        store = self.store
        row = store.find(product)
        if row is None:
            raise SearchError(f"product {product!r} is not in {self.folder}")
        vector = store.vector(row)
        if not vector.any():
            raise SearchError(f"product {product!r} has no vector: it held nothing that the model reads")
        near = store.nearest(vector, k + 1, self.condition(where, store))
        found = by_score([one for one in near if one.row != row], [])
        return self._hits([found[:k]], store)[0]

    def get(self, product: str) -> Hit | None:
        """A product of the index by its id."""
        store = self.store
        row = store.find(product)
        return None if row is None else self._hits([by_score([(row, 0.0)], [])], store)[0][0]

    def condition(self, where: str | None, store: IndexStore) -> Condition | None:
        """A filter, parsed; where it lets nothing through, whether its categories exist is asked."""
        if where is None or not where.strip():
            return None
        condition = parse(where, self.manifest.columns)
        asked = [str(t.values[0]) for t in field_tests(condition) if t.operator == "under"]
        if asked and not store.matches(condition):
            known = store.category_paths()
            parts = {name for path in known for name in path.split(DELIMITER)}
            for name in asked:
                if not any(f"{DELIMITER}{name}{DELIMITER}" in f"{DELIMITER}{p}{DELIMITER}" for p in known):
                    near = did_you_mean(name, [*parts, *known])
                    raise SearchError(f"--where: no product of {self.folder} is under {name!r}.{near}")
        return condition

    def _vectors(self, asked: list[Product], words: list[str]) -> list[np.ndarray | None]:
        """Each query's vector; None for one whose words alone can be searched for."""
        found: list[np.ndarray | None] = []
        for product, text, vector, why in zip(asked, words, *embed_queries(self.model, asked), strict=True):
            if why and not text:
                raise SearchError(f"query {product.id!r} holds nothing to search by: {why}")
            found.append(None if why else vector)
        return found

    def _hits(self, ranked: list[list[RankedRow]], store: IndexStore) -> list[list[Hit]]:
        rows = store.rows({one.row for found in ranked for one in found})
        return [[_hit(one, rows[one.row]) for one in found] for found in ranked]

    # -- changing -----------------------------------------------------------------------------

    def add(self, products: Iterable[Product], progress: Progress = SILENT) -> "Index":
        """Insert products, in place of those with their ids; embedded first, then written at once.

        Raises:
            SearchError: another process is writing, or the disk refuses.
        """
        total = len(products) if isinstance(products, Sequence) else None
        columns, dim = self.manifest.columns, self.manifest.dim
        with writing(self.folder):
            with progress("embedding", total) as advance:
                tables, unread = [], Counter[str]()
                for batch in embed_batches(self.model, products):
                    tables.append(to_arrow(batch, columns, dim))
                    unread += not_numbers(batch.products, columns)
                    advance(len(batch.products))
            self._store = self._store.latest().add(tables)
        for name, count in unread.items():
            progress.say(
                f"{name} holds numbers in this index, and {count:,} values are no plain numbers: filters "
                "take them as missing. Make the index anew (--replace) to filter them as text"
            )
        return self

    def delete(self, ids: Iterable[str]) -> int:
        """Take products out by their ids; ids that are not there are passed over. Returns how many went.

        Raises:
            SearchError: another process is writing, or the disk refuses.
        """
        with writing(self.folder):
            store = self._store.latest()
            before = len(store)
            self._store = store.delete(ids)
        return before - len(self._store)


def open(
    folder: str | Path,
    model: "Predictor | str | Path | None" = None,
    version: int | None = None,
    trust_code: bool = False,
) -> Index:
    """A saved index. model: the one that made it, or where it lies, if not where it was. version: an earlier
    state of the rows; else the newest, also what is written while the index is open.

    Raises:
        SearchError: there is no index, it is damaged, or another model made it.
    """
    place = Path(folder)
    manifest = read_manifest(place)
    if isinstance(model, str | Path):
        model = _loaded(place, manifest, Path(model), trust_code)
    elif model is not None:
        _check(place, manifest, model, "the model given")
    return Index(
        place,
        IndexStore.open(place, version),
        manifest,
        model,
        fixed=version is not None,
        trust_code=trust_code,
    )


def build(
    model: "Predictor",
    catalog: Catalog,
    out: str | Path,
    *,
    run: str | Path,
    replace: bool = False,
    progress: Progress = SILENT,
) -> Index:
    """Index a catalog's rows (faulty ones aside), built beside and renamed into place.

    run: where the model lies, for queries to load it from. replace: in place of an index that is there.

    Raises:
        SearchError: there is something already, no row can be indexed, or the disk refuses.
    """
    folder, rows = Path(out), catalog.select(~catalog.fatal)
    if not len(rows):
        raise SearchError("the catalog holds no row to index")
    if model.model_id == "unsaved":
        raise SearchError("save the model first: an index remembers its model by id")
    manifest = Manifest(
        model_id=model.model_id,
        model=str(Path(run).absolute()),
        views=modalities(model),
        dim=model.dim,
        columns=filter_columns(rows),
        text_field=text_field(model),
    )
    with new_folder(folder, replace) as beside, progress("indexing", len(rows)) as advance:

        def tables() -> Iterator[pa.Table]:
            for batch in embed_batches(model, rows):
                yield to_arrow(batch, manifest.columns, manifest.dim)
                advance(len(batch.products))

        create(beside, manifest, tables())
    return open(folder, model)


def query(text: str | None = None, image: str | Path | None = None, index: Index | None = None) -> Product:
    """Words, a image or both as a product to search with. The words stand in the field that the index's
    model reads: the title, where it reads titles.

    Raises:
        SearchError: the image cannot be read.
    """
    images: tuple[ImageRef, ...] = ()
    if image is not None:
        images = (ImageRef(path=Path(image)),)
        try:
            decode(images[0], 32)
        except ImageError as error:
            raise SearchError(f"{image}: {error}") from error
        if index is not None and "image" not in index.manifest.views.values():
            kinds = ", ".join(f"{name} ({kind})" for name, kind in index.manifest.views.items())
            raise SearchError(
                f"the index's model reads no images, only {kinds}: train one with an image view"
            )
    fields = {index.text_field if index is not None else "title": text} if text else {}
    return Product("query", fields, images)


def _loaded(folder: Path, manifest: Manifest, model: Path, trust_code: bool) -> "Predictor":
    from aisle.inference.loading import open_model  # torch may come along, which words alone do not need

    try:
        found = open_model(model, trust_code)
    except BundleError as error:
        raise SearchError(
            f"{folder} was made by model {manifest.model_id}, which cannot be loaded from {model}: {error}. "
            "Name where it is with --model"
        ) from error
    _check(folder, manifest, found, str(model))
    return found


def _check(folder: Path, manifest: Manifest, model: "Predictor", where: str) -> None:
    if model.model_id != manifest.model_id:
        raise SearchError(
            f"{folder} was made by model {manifest.model_id}; {where} is model {model.model_id}, whose "
            "vectors mean something else. Index again with it, or name the old one with --model"
        )


def _hit(one: RankedRow, row: StoredRow) -> Hit:
    image = None
    if row.image_path or row.image_data:
        image = ImageRef(Path(row.image_path) if row.image_path else None, row.image_data)
    category = tuple(row.category.split(DELIMITER)) if row.category else ()
    return Hit(row.id, one.score, one.similarity, one.words, json.loads(row.fields), category, image)
