"""Index of products, searched by vectors, by words (BM25), or by both."""

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
_IMAGE_WEIGHT = 0.5  # of cosines where a query has an image, which words do not tell


@dataclass(frozen=True)
class Hit:
    """A product found by a search.

    Attributes:
        id: Id of the product.
        score: Score that hits are sorted by.
        similarity: Cosine with the query, -1 to 1; None if it was not computed.
        words: BM25 score; None if it matches none of the words.
        fields: Text of each field.
        category: Path of its category; empty if it has none.
        image: Its first image.
    """

    id: str
    score: float
    similarity: float | None
    words: float | None
    fields: Mapping[str, str]
    category: tuple[str, ...]
    image: ImageRef | None

    def to_dict(self) -> dict[str, Any]:
        """The hit as JSON values, with the path of its image."""
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
    """The products of one index folder; made by `open` or `build`.

    Several threads may search it, also while another process writes.

    Args:
        folder: Folder of the index.
        store: Rows of the index.
        manifest: Its manifest.
        model: Model that computed the vectors; None: loaded from `manifest.model` when a query needs it.
        fixed: Keep the version of `store`, rather than follow the newest.
        trust_code: Allow custom code of the model.
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
        """Rows of the newest version, or of the fixed one."""
        if not self._fixed:
            self._store = self._store.latest()
        return self._store

    @property
    def versions(self) -> Sequence[IndexVersion]:
        """Versions that can be opened, oldest first."""
        return self.store.manifest.versions

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields that `where` can filter by."""
        return tuple(self.manifest.columns)

    @property
    def text_field(self) -> str:
        """Field that holds the words of a query."""
        return self.manifest.text_field

    @property
    def model(self) -> "Predictor":
        """Model that computed the vectors.

        Raises:
            SearchError: Its path holds no model, or another one.
        """
        if self._model is None:
            self._model = _loaded(self.folder, self.manifest, Path(self.manifest.model), self._trust_code)
        return self._model

    # -- search -------------------------------------------------------------------------------

    def search(
        self, products: Iterable[Product], k: int = 10, where: str | None = None, mode: SearchMode = "both"
    ) -> list[list[Hit]]:
        """Find the k best products for each query.

        Args:
            products: Queries, as products; views may be missing.
            k: Number of hits per query, at least 1.
            where: A filter, such as `"category under 'Apparel' and price < 50"`.
            mode: Vectors, words, or both fused (`aisle.search.ranking`).

        Returns:
            Hits of each query, best first.

        Raises:
            SearchError: The filter cannot be parsed, or a query has nothing to search by.
        """
        queries, store = list(products), self.store
        if k < 1:
            raise SearchError(f"k is how many products are wanted, at least 1, not {k}")
        condition = self.condition(where, store)
        words = [text_of(product) if mode != "vectors" else "" for product in queries]
        vectors = self._vectors(queries, words) if mode != "words" else [None] * len(queries)
        if mode == "words" and not all(words):
            raise SearchError("a query without words cannot be searched by words alone")
        depth = max(DEPTH, 2 * k)
        ranked = []
        for product, vector, text in zip(queries, vectors, words, strict=True):
            neighbors = store.nearest(vector, depth, condition) if vector is not None else []
            matching = store.matching(text, depth, condition) if text else []
            # A row found only by its words gets its cosine too, rather than 0.
            if vector is not None and neighbors and matching:
                known = {scored.row for scored in neighbors}
                neighbors += store.cosines(
                    vector, [scored.row for scored in matching if scored.row not in known]
                )
            least = _IMAGE_WEIGHT if product.images else 0.0
            both = neighbors and matching
            ranked.append(fuse(neighbors, matching, least) if both else by_score(neighbors, matching))
        return self._hits([rows[:k] for rows in ranked], store)

    def count(self, where: str | None = None) -> int:
        """Number of products, or of those that pass a filter.

        Raises:
            SearchError: The filter cannot be parsed.
        """
        store = self.store
        condition = self.condition(where, store)
        return len(store) if condition is None else store.matches(condition)

    def more_like(self, product: str, k: int = 10, where: str | None = None) -> list[Hit]:
        """Find the k products most similar to one of the index, without loading the model.

        Args:
            product: Id of the product; it is not among the hits.
            k: Number of hits.
            where: A filter.

        Raises:
            SearchError: The product is not in the index or has no vector, or the filter cannot be parsed.
        """
        store = self.store
        row = store.find(product)
        if row is None:
            raise SearchError(f"product {product!r} is not in {self.folder}")
        vector = store.vector(row)
        if not vector.any():
            raise SearchError(f"product {product!r} has no vector: it held nothing that the model reads")
        neighbors = store.nearest(vector, k + 1, self.condition(where, store))
        ranked = by_score([scored for scored in neighbors if scored.row != row], [])
        return self._hits([ranked[:k]], store)[0]

    def get(self, product: str) -> Hit | None:
        """The product with an id; None if it is not in the index."""
        store = self.store
        row = store.find(product)
        return None if row is None else self._hits([by_score([(row, 0.0)], [])], store)[0][0]

    def condition(self, where: str | None, store: IndexStore) -> Condition | None:
        """Parse a filter.

        Raises:
            SearchError: It cannot be parsed, or no product passes and it names an unknown category.
        """
        if where is None or not where.strip():
            return None
        condition = parse(where, self.manifest.columns)
        prefixes = [str(t.values[0]) for t in field_tests(condition) if t.operator == "under"]
        if prefixes and not store.matches(condition):
            known = store.category_paths()
            parts = {name for path in known for name in path.split(DELIMITER)}
            for name in prefixes:
                if not any(f"{DELIMITER}{name}{DELIMITER}" in f"{DELIMITER}{p}{DELIMITER}" for p in known):
                    suggestion = did_you_mean(name, [*parts, *known])
                    raise SearchError(f"--where: no product of {self.folder} is under {name!r}.{suggestion}")
        return condition

    def _vectors(self, queries: list[Product], words: list[str]) -> list[np.ndarray | None]:
        """Vector of each query, (D,); None for one that only its words can be searched by."""
        vectors, problems = embed_queries(self.model, queries)
        for query, text, problem in zip(queries, words, problems, strict=True):
            if problem and not text:
                raise SearchError(f"query {query.id!r} holds nothing to search by: {problem}")
        return [None if problem else vector for vector, problem in zip(vectors, problems, strict=True)]

    def _hits(self, rankings: list[list[RankedRow]], store: IndexStore) -> list[list[Hit]]:
        rows = store.rows({ranked.row for ranking in rankings for ranked in ranking})
        return [[_hit(ranked, rows[ranked.row]) for ranked in ranking] for ranking in rankings]

    # -- changing -----------------------------------------------------------------------------

    def add(self, products: Iterable[Product], progress: Progress = SILENT) -> "Index":
        """Add products in one new version; those with a known id replace the old ones.

        Raises:
            SearchError: Another process is writing, or a write failed.
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
                "take them as missing. Build the index again (--replace) to filter them as text"
            )
        return self

    def delete(self, ids: Iterable[str]) -> int:
        """Delete products by their ids; unknown ids are ignored.

        Returns:
            Number of products deleted.

        Raises:
            SearchError: Another process is writing, or a write failed.
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
    """Open a saved index.

    Args:
        folder: Folder of the index.
        model: Model that computed the vectors, or its path; None: the path in the manifest.
        version: Number of an earlier version; None: the newest, also after later writes.
        trust_code: Allow custom code of the model.

    Raises:
        SearchError: There is no index, it is damaged, or another model computed its vectors.
    """
    path = Path(folder)
    manifest = read_manifest(path)
    if isinstance(model, str | Path):
        model = _loaded(path, manifest, Path(model), trust_code)
    elif model is not None:
        _check(path, manifest, model, "the model given")
    return Index(
        path,
        IndexStore.open(path, version),
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
    """Index the rows of a catalog, without those that have errors.

    Args:
        model: Model to compute the vectors with.
        catalog: The products.
        out: Folder of the new index.
        run: Path of the model, kept in the manifest.
        replace: Replace an index that is already there.
        progress: Progress reporting.

    Raises:
        SearchError: `out` exists, no row can be indexed, or a write failed.
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
    with new_folder(folder, replace) as temporary, progress("indexing", len(rows)) as advance:

        def tables() -> Iterator[pa.Table]:
            for batch in embed_batches(model, rows):
                yield to_arrow(batch, manifest.columns, manifest.dim)
                advance(len(batch.products))

        create(temporary, manifest, tables())
    return open(folder, model)


def query(text: str | None = None, image: str | Path | None = None, index: Index | None = None) -> Product:
    """Make a query from words, an image, or both.

    Args:
        text: The words; they go into the index's `text_field`, or the title without an index.
        image: Path of the image.
        index: Index to search.

    Raises:
        SearchError: The image cannot be read, or the index's model reads no images.
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
    from aisle.inference.loading import open_model  # may import torch, which a search by words does not need

    try:
        opened = open_model(model, trust_code)
    except BundleError as error:
        raise SearchError(
            f"{folder} was made by model {manifest.model_id}, which cannot be loaded from {model}: {error}. "
            "Name where it is with --model"
        ) from error
    _check(folder, manifest, opened, str(model))
    return opened


def _check(folder: Path, manifest: Manifest, model: "Predictor", where: str) -> None:
    if model.model_id != manifest.model_id:
        raise SearchError(
            f"{folder} was made by model {manifest.model_id}; {where} is model {model.model_id}, whose "
            "vectors mean something else. Index again with it, or name the old one with --model"
        )


def _hit(ranked: RankedRow, row: StoredRow) -> Hit:
    image = None
    if row.image_path or row.image_data:
        image = ImageRef(Path(row.image_path) if row.image_path else None, row.image_data)
    category = tuple(row.category.split(DELIMITER)) if row.category else ()
    return Hit(row.id, ranked.score, ranked.similarity, ranked.words, json.loads(row.fields), category, image)
