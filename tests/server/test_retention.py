import sqlite3
from pathlib import Path

import pytest

import aisle
from aisle.data import ImageRef
from aisle.errors import AisleError
from aisle.server.store import ServerStore, StoreError, batches, feedback, promotions, retention, reviews
from aisle.server.store import keys as kept_keys
from aisle.server.store.database import now
from aisle.server.thumbnails import thumbnails
from tests.server.conftest import BACKENDS
from tests.server.test_classify import image_bytes

on_both = pytest.mark.parametrize("backend", BACKENDS, indirect=True)


def event(person="ana", product="1", chosen="A", how="chosen", role="seller", days=0, **more):
    return feedback.FeedbackEvent(
        person=person,
        role=role,
        product_id=product,
        fields={"title": f"title of {product} by {person}"},
        chosen_id=chosen,
        chosen=tuple(chosen.split(" > ")),
        how=how,
        model="m",
        model_id="1",
        at=now() - days * 86_400_000,
        **more,
    )


def kept_images(*data):
    """Small copies by hash, as the store keeps them."""
    return thumbnails(ImageRef(data=one) for one in data)


def chosen(store, **options):
    return {row["id"]: row["category"][-1] for row in feedback.training_rows(store, **options)}


@on_both
def test_the_last_word_counts_a_reviewers_before_a_sellers(store):
    for one in (
        event(product="1", chosen="A", role="reviewer"),
        event(product="1", chosen="B"),
        event(product="2", chosen="A"),
        event(product="2", chosen="B"),
        event(product="3", chosen="A"),
        event(product="3", chosen="B", how="default", role="reviewer"),
        event(product="", chosen="C"),
        event(product="", chosen="D"),
    ):
        feedback.add(store, one)
    found = chosen(store)
    assert {key: found[key] for key in "123"} == {"1": "A", "2": "B", "3": "A"}
    assert sorted(value for key, value in found.items() if key.startswith("feedback-")) == ["C", "D"]


@on_both
def test_the_echo_has_the_weight_one_says(store):
    feedback.add(store, event(how="default"))
    assert [row["sample_weight"] for row in feedback.training_rows(store)] == [0.0]
    assert [row["sample_weight"] for row in feedback.training_rows(store, default_weight=0.25)] == [0.25]


@on_both
def test_a_person_is_forgotten_everywhere(store):
    entry = reviews.ReviewEntry("ana", "9", {"title": "secret words of ana"}, [], _prediction(), "m")
    reviews.enqueue(store, [entry], 0)
    feedback.add(store, event("ana"))
    feedback.add(store, event("ben", product="2"))
    kept_keys.add(store, "ana", "seller")
    promotions.record(store, "ana", promotions.PromotionRecord(promotions.ROLLED_BACK, "m", "1", "n"))
    file = {"id": "1" * 16, "person": "ana", "name": "list of ana.csv", "bytes": 1, "rows": 1, "summary": {}}
    batches.add(store, {**file, "model": "m", "model_id": "1"}, 1)
    gone = retention.forget(store, "ana")
    assert gone == {"feedback": 1, "reviews": 1, "skips": 0, "discards": 0, "batches": 1, "keys": 1}
    assert [row["id"] for row in feedback.training_rows(store)] == ["2"]
    assert [change["person"] for change in promotions.history(store)] == [""]
    store.close()
    if store.is_sqlite:  # not even in what SQLite has not overwritten yet
        for file in Path(store.address.database).parent.iterdir():
            assert b"ana" not in file.read_bytes()


def _prediction():
    return {"best_id": "A", "best": "A", "confidence": [0.5], "alternatives": [], "model_id": "1"}


@on_both
def test_old_rows_are_deleted(store):
    feedback.add(store, event(product="old", days=31))
    feedback.add(store, event(product="new", days=29))
    assert retention.prune(store, 30) == 1
    assert list(chosen(store)) == ["new"]


@on_both
def test_images_nobody_refers_to_are_deleted(store):
    images = kept_images(image_bytes(), image_bytes((1, 2, 3)))
    names = list(images)
    feedback.add(store, event("ana", images=names[:1]), images)
    feedback.add(store, event("ben", product="2", images=names), images)
    retention.forget(store, "ben")
    assert [feedback.image(store, name) is not None for name in names] == [True, False]


@on_both
def test_images_are_exported_beside(store, tmp_path):
    images = kept_images(image_bytes(size=(1200, 600)))
    feedback.add(store, event(images=list(images)), images)
    feedback.export(store, tmp_path / "f.jsonl")
    catalog = aisle.read(tmp_path / "f.jsonl")
    assert not catalog.problems
    from aisle.data.images import decode

    assert decode(catalog[0].images[0]).size == (512, 256)


@pytest.mark.parametrize(
    "address",
    ["mysql://a/b", "nowhere/at/all.db", "postgresql://nobody:secret@127.0.0.1:1/x", "sqlite://", "x://"],
)
def test_a_store_that_cannot_be_opened(address):
    with pytest.raises(StoreError) as error:
        ServerStore(address)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_store(tmp_path):
    (tmp_path / "s.db").write_text("this is no database, however long it may be" * 100)
    with pytest.raises(AisleError, match="not a database"):
        ServerStore(str(tmp_path / "s.db"))


def test_a_store_of_a_newer_version(tmp_path):
    import sqlite3

    ServerStore(str(tmp_path / "s.db")).close()
    connection = sqlite3.connect(tmp_path / "s.db")
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match="newer"):
        ServerStore(str(tmp_path / "s.db"))


@on_both
def test_the_migrations_make_the_tables(store):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from aisle.server.store.tables import metadata

    with store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_store_of_the_version_before_is_brought_up_to_date(tmp_path):
    path = tmp_path / "store.db"
    store = ServerStore(str(path))
    entry = reviews.ReviewEntry("ana", "9", {"title": "oak clock"}, [], _prediction(), "m")
    reviews.enqueue(store, [entry], 0)
    store.close()
    with sqlite3.connect(path) as connection:
        for name in ("title", "best", "label", "confidence", "flagged", "note"):
            connection.execute(f"ALTER TABLE reviews DROP COLUMN {name}")
        connection.execute("DROP TABLE discards")
        connection.execute("UPDATE alembic_version SET version_num = '0003'")
    store = ServerStore(str(path))
    (row,) = reviews.lease(store, "ben", where=reviews.QueueFilter(query="OAK"))
    assert (row["title"], row["flagged"], row["note"]) == ("oak clock", False, "")
    assert (row["best"], row["confidence"]) == (_prediction()["best"], _prediction()["confidence"][-1])
    store.close()
