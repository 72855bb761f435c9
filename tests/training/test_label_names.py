"""Categories' names are training rows too."""

import numpy as np

import aisle
from aisle import Product
from aisle.taxonomy import Targets
from aisle.training.job import TrainingSet

WORDS = {
    "views": {
        name: {"encoder": {"type": "TfidfEncoder", "dim": 64, "min_df": 1}, "fields": fields}
        for name, fields in (("text", ["title", "description"]), ("title", ["title"]))
    },
    "fusion": {"type": "LinearFusion", "dim": 64},
    "head": {"type": "TreeHead", "norm": False},
}
SHOP = [
    Product("1", {"title": "blue thing"}, categories=(("Kitchen", "Mugs"),)),
    Product("2", {"title": "green thing"}, categories=(("Kitchen", "Teapots"),)),
    Product("3", {"title": "red thing beside teapots"}, categories=(("Garden", "Rakes"),)),
]

ALL_ROWS = (
    "split.validation=0",
    "split.calibration=0",
    "split.threshold=0",
    "stages.0.epochs=20",
    "stages.0.lr=0.02",
)


def test_each_category_with_a_product_adds_a_row():
    catalog = aisle.read(SHOP[:2] + SHOP[:1])
    tree, targets = aisle.read(SHOP).taxonomy, catalog.targets()
    labels = Targets(np.array([tree.index(p.categories[0]) for p in catalog]), targets.exact)
    found = TrainingSet(catalog, labels).with_label_names(tree)
    assert [found.products[i].fields["title"] for i in range(len(found.products))][3:] == ["Mugs", "Teapots"]
    assert found.products[3].fields["description"] == "Kitchen Mugs"
    assert found.targets.node.tolist() == [*labels.node, *sorted({*labels.node})]
    assert found.targets.exact.tolist() == [True] * 5


def test_a_name_draws_its_words_to_its_place_though_only_others_say_them():
    query = [Product("q", {"title": "teapots"})]
    found = {}
    for names in ("true", "false"):
        model = aisle.train(aisle.read(SHOP * 5), WORDS, changes=(*ALL_ROWS, f"label_name_examples={names}"))
        found[names] = np.exp(
            model.score(query).node(np.array([model.taxonomy.index(("Kitchen", "Teapots"))]))
        )
    assert found["true"] > 2 * found["false"]


def test_a_weight_column_decides_how_much_a_row_counts():
    rows = [
        {
            "title": f"thing {i % 7}",
            "category": "Mugs" if i % 2 else "Rakes",
            "sample_weight": 5.0 if i % 2 else 0.1,
        }
        for i in range(40)
    ]
    model = aisle.train(aisle.read(rows), WORDS, changes=ALL_ROWS)
    answers = model.predict([Product("q", {"title": f"thing {i}"}) for i in range(7)])
    assert {answer.best for answer in answers} == {("Mugs",)}
