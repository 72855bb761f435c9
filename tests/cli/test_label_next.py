"""`aisle label-next`: the products whose labels would help most, in a file to fill in and train on."""

import csv
import json

import numpy as np
import pytest

import aisle
from aisle.errors import CatalogError
from aisle.inference.coverage import (
    choose_covering,
    choose_informative,
    learning_weight,
    similarities,
    text_vectors,
)
from aisle.inference.label_next import choose_to_label, uncertainty


def rows_of(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def half(shop, tmp_path):
    """The sample shop with new titles; every second row has no category."""
    rows = rows_of(shop.products)
    for number, row in enumerate(rows):
        row["title"] = f"{row['title']} {number}"
        row["category"] = "" if number % 2 else row["category"]
    path = tmp_path / "half.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_file_has_the_rows_as_they_were_and_a_suggestion(trained, shop, half, typed, tmp_path):
    out = tmp_path / "to_label.csv"
    images = ("--image-root", shop.products.parent)
    code, shown, _ = typed("label-next", trained.run, half, "--k", 12, "--out", out, *images)
    assert code == 0
    chosen, source = rows_of(out), {row["id"]: row for row in rows_of(half)}
    assert len({row["id"] for row in chosen}) == 12
    known = {" > ".join(node.path) for node in trained.model.taxonomy.nodes}
    for row in chosen:
        assert row.pop("suggested_category") in known
        assert row.pop("suggested_category_reason")
        assert row == source[row["id"]]
        assert row["category"] == ""
    assert "12 of " in shown
    assert "unlabelled products chosen" in shown
    assert "Labels of the 6 drawn at random" in shown
    assert str(out) in shown


def test_what_was_filled_in_trains_and_the_suggestion_is_no_field(trained, shop, half, typed, tmp_path):
    out = tmp_path / "to_label.csv"
    typed("label-next", trained.run, half, "--k", 12, "--out", out, "--image-root", shop.products.parent)
    chosen = rows_of(out)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, chosen[0])
        writer.writeheader()
        writer.writerows({**row, "category": row["suggested_category"]} for row in chosen)
    catalog = aisle.read(out, image_root=shop.products.parent)
    assert catalog.columns.category == "category"
    assert not {"suggested_category", "suggested_category_reason"} & set(catalog.fields)
    assert (catalog.targets().node >= 0).all()


def test_informative_ones_are_less_sure_than_random_ones(trained, shop, half):
    catalog = aisle.read(half, image_root=shop.products.parent, like=trained.model)
    informative = choose_to_label(trained.model, catalog, 15, "informative")
    mixed = choose_to_label(trained.model, catalog, 15)
    assert set(mixed.rows[:8]) <= set(informative.rows)
    assert len(set(mixed.rows)) == 15
    assert informative.expected_errors > mixed.expected_errors
    chance = choose_to_label(trained.model, catalog, 15, "random")
    assert informative.expected_errors > chance.expected_errors
    assert informative.unlabelled == chance.unlabelled == 120
    assert (catalog.targets().node[informative.rows] < 0).all()
    assert len(set(chance.rows)) == 15
    again = choose_to_label(trained.model, catalog, 15, "random", seed=0)
    np.testing.assert_array_equal(chance.rows, again.rows)
    titles = [product.fields["title"] for product in catalog.select(informative.rows)]
    assert [catalog[int(row)].fields["title"] for row in informative.rows] == titles


def test_a_catalog_without_a_category_column_gets_one(trained, shop, half, typed, tmp_path):
    bare, out = tmp_path / "bare.csv", tmp_path / "to_label.csv"
    with bare.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "title"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows_of(half))
    code, shown, _ = typed("label-next", trained.run, bare, "--k", 5, "--out", out, "--json")
    assert code == 0
    assert list(rows_of(out)[0]) == [
        "id",
        "title",
        "category",
        "suggested_category",
        "suggested_category_reason",
    ]
    told = json.loads(shown)
    assert [rows_of(bare)[row]["id"] for row in told["rows"]] == [row["id"] for row in rows_of(out)]
    assert told["unlabelled"] == len(rows_of(bare))


def test_labelled_and_known_rows_are_refused(trained, shop):
    with pytest.raises(CatalogError, match="nothing to label"):
        choose_to_label(trained.model, trained.catalog, 5)


def test_choices_stand_for_the_most_uncertain_products():
    """Three equal uncertain products, another one, a sure one: the first of the three, then the other."""
    vectors = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    weight, similarity = np.array([0.9, 0.5, 0.4, 0.4, 0.0]), similarities(vectors, vectors)
    best = choose_covering(weight, similarity, 2)
    assert best.chosen.tolist() == [1, 0]
    np.testing.assert_allclose(best.gain, [1.3, 0.9], rtol=1e-6)
    assert best.stands_for.tolist() == [3, 1]
    assert sorted(choose_covering(weight, similarity, 9).chosen) == [0, 1, 2, 3, 4]


def test_the_choice_is_the_best_greedy_one():
    """Lazy evaluation chooses what evaluating every product at every step does."""
    rng = np.random.default_rng(3)
    similarity = rng.random((60, 60)).astype(np.float32)
    similarity = (similarity + similarity.T) / 2
    np.fill_diagonal(similarity, 1.0)
    weight, best, slow = rng.random(60), np.zeros(60), []
    for _ in range(12):
        gain = [(np.maximum(similarity[i] - best, 0) * weight).sum() for i in range(60)]
        slow.append(int(np.argmax(gain)))
        best = np.maximum(best, similarity[slow[-1]])
    assert choose_covering(weight, similarity, 12).chosen.tolist() == slow


def test_similar_products_are_covered_by_one():
    titles = ["red desk lamp"] * 3 + ["running shoe"] * 2
    rng, none = np.random.default_rng(0), np.zeros((5, 1))
    best = choose_informative(np.full(5, 0.8), titles, titles, none, 2, rng)
    assert best.chosen[0] in (0, 1, 2)
    assert best.chosen[1] in (3, 4)
    assert best.stands_for.tolist() == [3, 2]
    vectors = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 2)
    same = choose_informative(np.full(5, 0.8), [""] * 5, [""] * 5, vectors, 2, rng)
    np.testing.assert_array_equal(same.chosen, best.chosen)


def test_likely_categories_with_few_labels_weigh_more():
    weight = learning_weight(
        np.array([0.5, 0.5, 1.0]), np.array([[1, 0], [0.5, 0.5], [0, 1]]), np.array([3, 0])
    )
    np.testing.assert_allclose(weight, [0.25, 0.375, 1.0])


def test_texts_are_compared_by_words_and_letters():
    texts = ["red running shoe", "red running shoe", "blue kitchen lamp", "running shoes red", ""]
    vectors = text_vectors(texts, texts)
    cosine = (vectors @ vectors.T).toarray()
    np.testing.assert_allclose(cosine[0, 1], 1.0, rtol=1e-5)
    assert cosine[0, 3] > 0.3 > cosine[0, 2]
    assert cosine[4].max() == 0
    assert text_vectors(["", ""], ["", ""]).nnz == 0


def test_each_choice_has_a_reason_a_gain_and_a_time(trained, shop, half):
    catalog = aisle.read(half, image_root=shop.products.parent, like=trained.model)
    chosen = choose_to_label(trained.model, catalog, 10)
    assert len(chosen.reasons) == len(chosen.gain) == len(chosen.minutes) == 10
    assert (chosen.gain[:5] > 0).all()
    assert (chosen.gain[5:] == 0).all()
    assert chosen.reasons[5:] == ["drawn at random, to test the guarantee"] * 5
    assert all("unsure between" in reason for reason in chosen.reasons[:5])
    per_minute = chosen.gain[:5] / chosen.minutes[:5]
    assert (np.diff(per_minute) <= 1e-9).all()
    assert (chosen.value > 0).all()
    words = [sum(len(t.split()) for t in catalog[int(row)].fields.values()) for row in chosen.rows]
    assert chosen.minutes[int(np.argmax(words))] > chosen.minutes[int(np.argmin(words))] > 5 / 60
    margins = [1 - (p.alternatives[0].confidence - p.alternatives[1].confidence) for p in chosen.predictions]
    np.testing.assert_allclose(uncertainty(chosen.predictions), np.clip(margins, 0, 1))


def test_label_studio_gets_tasks_with_their_reasons(trained, shop, half, typed, tmp_path):
    out = tmp_path / "tasks.json"
    words = ("label-next", trained.run, half, "--k", 6, "--image-root", shop.products.parent)
    code, shown, _ = typed(*words, "--out", out)
    assert code == 0
    tasks = json.loads(out.read_text())
    assert len(tasks) == 6
    assert all(task["predictions"][0]["result"][0]["type"] == "taxonomy" for task in tasks)
    assert {task["meta"]["reason"].split(",")[0] for task in tasks[3:]} == {"drawn at random"}
    assert "reason" not in json.dumps([task["data"] for task in tasks])
    assert (tmp_path / "tasks.xml").read_text().startswith("<View>")
    assert json.loads((tmp_path / "tasks.choices.json").read_text())
    assert str(tmp_path / "tasks.xml") in shown


def test_one_row_and_one_product_more_than_there_are(trained, shop, half, typed, tmp_path):
    out = tmp_path / "one.csv"
    single = tmp_path / "single.csv"
    single.write_text('title\n"a lamp, \nnew"\n', encoding="utf-8")
    code, _, _ = typed("label-next", trained.run, single, "--k", 500, "--out", out)
    assert code == 0
    (row,) = rows_of(out)
    assert row["title"] == "a lamp, \nnew"
    assert row["category"] == ""


def test_the_review_queue_gets_them_in_this_order(trained, shop, half, typed, monkeypatch, tmp_path):
    """The server's order, priority times the chance of an error, is that of the choice."""
    sent = {}

    class FakeClient:
        def __init__(self, address, key, timeout):
            sent.update(address=address, key=key)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def enqueue(self, products, priorities):
            sent.update(ids=[product.id for product in products], priorities=list(priorities))
            return len(sent["ids"])

    monkeypatch.setattr("aisle.server.client.Client", FakeClient)
    monkeypatch.chdir(tmp_path)
    words = ("label-next", trained.run, half, "--k", 8, "--image-root", shop.products.parent)
    code, shown, _ = typed(*words, "--server", "http://shop", "--key", "k", "--json")
    assert code == 0
    told = json.loads(shown)
    assert (sent["address"], sent["key"]) == ("http://shop", "k")
    assert told["queued"] == 8
    assert sent["ids"] == [one["id"] for one in told["products"]]
    served = [
        p * (1 - one["confidence"]) for p, one in zip(sent["priorities"], told["products"], strict=True)
    ]
    assert served[:4] == sorted(served[:4], reverse=True)
    assert min(served[:4]) <= served[4] <= max(served[:4])
    assert not list(tmp_path.glob("to_label*"))
