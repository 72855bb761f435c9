"""A predictor remembers what it learned from, and tells what belongs nowhere in the tree."""

import numpy as np
import pytest

import aisle
from aisle import Product
from aisle.inference.knn_index import PROJECTION_DIM, random_projection
from aisle.models.preprocessing import TfidfPreprocessor

WORDS = {
    ("Kitchen", "Mugs"): "blue ceramic mug for coffee and tea, dishwasher safe, large handle",
    ("Kitchen", "Pans"): "steel frying pan, non stick coating, induction hob, oven proof",
    ("Shoes", "Boots"): "leather walking boots, waterproof, laces, size seven, rubber sole",
    ("Shoes", "Sandals"): "summer sandals with straps, cork footbed, size six, light",
}
SMALL = ("views.image=false", "split.calibration=0.15", "split.threshold=0.3")


def shop(rows=400):
    rng = np.random.default_rng(0)
    products = []
    for i in range(rows):
        path, text = list(WORDS.items())[i % len(WORDS)]
        words = rng.permutation(text.replace(",", "").split())[:6]
        products.append(Product(f"p{i}", {"title": " ".join(words), "description": text}, categories=(path,)))
    return products


def test_a_sketch_keeps_cosines():
    texts = ["red running shoes for men", "red running shoes for women", "garden chair", None]
    prepare = TfidfPreprocessor(min_df=1)
    prepare.fit(texts)
    vectors = random_projection(prepare(texts).arrays)
    assert vectors.shape == (4, PROJECTION_DIM)
    unit = vectors[:3] / np.linalg.norm(vectors[:3], axis=1, keepdims=True)
    near = unit @ unit.T
    assert near[0, 1] > 0.5 > 0.2 > abs(near[0, 2])
    assert not vectors[3].any()


@pytest.mark.slow
def test_what_is_like_nothing_learned_from_is_for_review_and_says_so(tmp_path):
    model = aisle.train(aisle.read(shop()), changes=SMALL)
    strange = Product(
        "s", {"title": "nuclear submarine torpedo", "description": "flux capacitor quantum drive"}
    )
    usual = shop(4)
    answers = model.predict([strange, *usual])
    assert answers[0].decision == "review"
    assert "nowhere in the tree" in answers[0].reason
    assert all("nowhere" not in answer.reason for answer in answers[1:])
    model.save(tmp_path / "model")
    again = aisle.load(tmp_path / "model")
    both = again.nearest([strange, *usual]), model.nearest([strange, *usual])
    assert all((a == b).all() for a, b in zip(*both, strict=True))
    assert [a.decision for a in again.predict([strange, *usual])] == [a.decision for a in answers]
