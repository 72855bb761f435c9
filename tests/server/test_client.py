import httpx2
import pytest

from aisle import Product
from aisle.data import ImageRef
from aisle.server.client import Client, ServerResponseError
from aisle.server.store import feedback as feedback_store
from tests.server.test_classify import image_bytes


@pytest.fixture
def remote(start):
    """A `Client` whose requests go to a test server, without a socket."""
    test = start()
    client = Client("http://127.0.0.1:8000", session=test, batch_size=7)
    client.test = test
    return client


def test_predictions_come_back_as_they_are_in_python(remote, trained):
    products = [Product(f"{i}", {"title": f"clock {i}"}) for i in range(15)]
    products.append(Product("p", {"title": "mug"}, (ImageRef(data=image_bytes()),)))
    answers = list(remote.classify(iter(products)))
    for answer, expected in zip(answers, trained.model.predict(products), strict=True):
        assert (answer.prediction.id, answer.prediction.best, answer.error) == (
            expected.id,
            expected.best,
            None,
        )
        assert answer.prediction.alternatives[0].path == expected.alternatives[0].path
        assert answer.prediction.confidence == pytest.approx(expected.confidence, abs=1e-4)


def test_the_tree_comes_back_whole(remote, trained):
    assert remote.taxonomy() == trained.model.taxonomy


def test_a_suggestion_for_another_text_is_refused(remote):
    suggestions = remote.suggest("red shoes")
    with pytest.raises(ServerResponseError, match="another text") as refused:
        remote.feedback(Product("A-9", {"title": "oak wall clock"}), suggestions[0].id, suggested=suggestions)
    assert (refused.value.status, refused.value.code) == (409, "stale_suggestion")
    assert feedback_store.of_product(remote.test.server.store, "A-9") == []


def test_suggestions_and_a_choice(remote):
    suggestions = remote.suggest("red shoes")
    product = Product("A-1", {"title": "red shoes"})
    remote.feedback(product, suggestions[1].path, suggested=suggestions)
    row = feedback_store.of_product(remote.test.server.store, "A-1")[0]
    assert (row["chosen_id"], row["how"], len(row["suggested"])) == (suggestions[1].id, "chosen", 5)


def test_products_are_queued_in_the_order_of_their_priorities(remote):
    products = [Product(f"{i}", {"title": f"oak wall clock {i}"}) for i in range(9)]
    wrong = [1 - one.prediction.confidence[-1] for one in remote.classify(products)]
    value = [float((i * 4) % 9 + 1) for i in range(9)]
    assert remote.enqueue(products, [v / w for v, w in zip(value, wrong, strict=True)]) == 9
    items = remote.test.post("/v1/review/next", json={"count": 9}).json()["items"]
    assert [item["product"]["id"] for item in items] == [
        f"{i}" for i in sorted(range(9), key=lambda i: -value[i])
    ]
    assert items[0]["expected_gain"] == pytest.approx(9.0, rel=1e-3)


def test_a_refusal_is_an_error_with_its_code(remote):
    with pytest.raises(ServerResponseError, match="not in the tree") as refused:
        remote.feedback(Product("1"), "Nowhere > At all")
    assert (refused.value.status, refused.value.code) == (422, "no_such_category")


def test_a_busy_server_is_asked_again():
    slept, asked = [], []

    def answer(request):
        asked.append(request)
        if len(asked) == 1:
            return httpx2.Response(503, headers={"Retry-After": "3"}, json={"error": {}})
        if len(asked) == 2:
            raise httpx2.ConnectError("gone")
        return httpx2.Response(200, json={"suggestions": []})

    session = httpx2.Client(transport=httpx2.MockTransport(answer), base_url="http://shop")
    client = Client("http://shop", session=session, sleep=slept.append)
    assert client.suggest("a") == []
    assert slept[0] == 3


def test_a_server_that_is_not_there():
    with (
        Client("http://127.0.0.1:9", key="k", sleep=lambda _: None) as client,
        pytest.raises(ServerResponseError, match="9"),
    ):
        client.suggest("a")


def test_models_are_promoted_and_gone_back_from(remote_two):
    assert remote_two.models()["live"] == "shop"
    told = remote_two.promote("same")
    assert (told["live"], told["comparison"]["difference"]) == ("same", 0)
    assert remote_two.shadow("shop")["shadow"] == "shop"
    assert remote_two.shadow(None)["shadow"] is None
    assert remote_two.roll_back()["live"] == "shop"
    assert [one["name"] for one in remote_two.remove("same")["models"]] == ["shop"]
    with pytest.raises(ServerResponseError, match="nothing"):
        remote_two.load("x", "nothing")


@pytest.fixture
def remote_two(start, trained, shop):
    runs = {"shop": trained.run, "same": trained.run / "model"}
    session = start(runs=runs, golden_set=shop.products, library=trained.run.parent)
    return Client("http://127.0.0.1:8000", session=session)


def test_going_back_is_never_asked_for_twice():
    asked = []

    def answer(request):
        asked.append(request)
        raise httpx2.ReadError("gone")

    session = httpx2.Client(transport=httpx2.MockTransport(answer), base_url="http://shop")
    client = Client("http://shop", session=session, sleep=lambda _: None)
    with pytest.raises(ServerResponseError, match="gone"):
        client.roll_back()
    assert len(asked) == 1
