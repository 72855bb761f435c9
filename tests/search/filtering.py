"""Five products to filter, and what a filter keeps of them."""

import numpy as np

from aisle.data import Product
from aisle.search.filters import FilterColumn
from aisle.search.rows import EmbeddedBatch, to_arrow

DIM = 4
COLUMNS = {
    "id": FilterColumn("id", "exact"),
    "category": FilterColumn("category_key", "category"),
    "title": FilterColumn("f0", "text"),
    "colour": FilterColumn("f1", "text"),
    "price": FilterColumn("f2", "number"),
}
ROWS = [
    ("a", "O'Neill boots", "red", "80.00", ("Apparel", "Shoes", "Boots")),
    ("b", "100%_cotton slippers", "blue", "20", ("Apparel", "Shoes")),
    ("c", "Shirt a", "Red", "9.50", ("Apparel", "Shirts")),
    ("d", "Shirt b WH-1000XM4", None, "79", ("Apparel", "Shirts")),
    ("e", "", None, None, None),
]


def products():
    made = []
    for name, title, colour, price, path in ROWS:
        fields = {"title": title, "colour": colour, "price": price}
        fields = {key: value for key, value in fields.items() if value}
        made.append(Product(name, fields, categories=(path,) if path else ()))
    return made


def rows(made=None, seed=0):
    made = products() if made is None else made
    vectors = np.random.default_rng(seed).normal(size=(len(made), DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return to_arrow(EmbeddedBatch(made, vectors, [p.categories for p in made]), COLUMNS, DIM)


def kept(store, where):
    """The ids of the products that a filter lets through, in order."""
    from aisle.search.index import Index

    index = Index(store.folder, store, store.manifest)
    found = store.nearest(np.ones(DIM) / 2, 10, index.condition(where, store))
    return "".join(sorted(row.id for row in store.rows(one.row for one in found).values()))
