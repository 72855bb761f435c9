"""The queue: who waits for whom, and who is told to come back."""

import threading

import pytest

from aisle import Product
from aisle.data import ImageRef
from aisle.server.batching import Batcher, FailedPredictionError
from aisle.server.errors import BusyError
from aisle.server.latency_model import BatchLoad, LatencyModel

from ..waiting import wait_until


def products(count, start=0):
    return [Product(str(start + i)) for i in range(count)]


class Model:
    """Answers with ids, once it may `go`; by its `clock` it takes `each` seconds a product."""

    def __init__(self, each=0.0):
        self.each, self.now, self.batches = each, 0.0, []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, asked):
        self.go.wait(30)
        self.batches.append([product.id for product in asked])
        self.now += self.each * len(asked)
        return [product.id for product in asked]

    def clock(self):
        return self.now


@pytest.fixture
def batcher():
    made = []

    def make(**settings):
        made.append(Batcher(**settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_callers_share_a_batch_and_get_their_own_answers(batcher):
    model, queue = Model(), batcher(size=8)
    model.go.clear()
    futures = [queue.submit(model, products(count, 100 * count)) for count in (1, 3, 2, 1)]
    model.go.set()
    for count, future in zip((1, 3, 2, 1), futures, strict=True):
        assert future.result(30) == [str(100 * count + i) for i in range(count)]
    assert len(model.batches) <= 2


def test_a_small_request_never_waits_behind_all_of_a_large_one(batcher):
    model, queue = Model(), batcher(size=4)
    model.go.clear()
    large = queue.submit(model, products(40))
    wait_until(lambda: queue.expected_wait(1) > 0.0)  # the first part is under way
    small = queue.submit(model, [Product("small")])
    model.go.set()
    assert small.result(30) == ["small"]
    assert large.result(30) == [str(i) for i in range(40)]
    at = next(i for i, batch in enumerate(model.batches) if "small" in batch)
    assert at <= 2
    assert all(len(batch) <= 4 for batch in model.batches)


def test_waits_are_bounded_where_more_comes_than_can_be_answered(batcher):
    model = Model(each=0.0005)
    queue = batcher(max_wait_s=0.1, size=16, clock=model.clock)
    queue.submit(model, products(64)).result(30)  # it knows its pace now: no better than the model's
    model.go.clear()
    accepted, refused = [], []
    for _ in range(150):
        try:
            accepted.append(queue.submit(model, products(8)))
        except BusyError as error:
            refused.append(int(error.headers["Retry-After"]))
    assert min(refused) >= 1
    assert 2 <= len(accepted) <= 32  # 0.1 s is 200 products: 25 requests, and those just being answered
    model.go.set()
    assert [future.result(30) for future in accepted] == [[str(i) for i in range(8)]] * len(accepted)


def test_a_large_request_alone_is_never_refused(batcher):
    model = Model(each=0.0005)
    queue = batcher(max_wait_s=0.01, size=16, clock=model.clock)
    queue.submit(model, products(64)).result(30)
    assert len(queue.submit(model, products(1000)).result(30)) == 1000


def test_a_batch_of_a_slow_model_is_small(batcher):
    model = Model(each=0.03)
    queue = batcher(size=64, clock=model.clock)
    queue.submit(model, products(2)).result(30)
    queue.submit(model, products(12)).result(30)
    assert max(len(batch) for batch in model.batches) <= 9  # a quarter of a second


def test_what_may_wait_is_answered_where_nobody_else_asks(batcher):
    live, shadow, queue = Model(), Model(), batcher(size=4)
    order = []
    live.go.clear()
    first = queue.submit(live, products(1))
    seen = queue.submit(shadow, products(3), idle=True)
    later = queue.submit(live, products(9))
    seen.add_done_callback(lambda _: order.append("shadow"))
    later.add_done_callback(lambda _: order.append("live"))
    live.go.set()
    for future in (first, seen, later):
        future.result(30)
    assert order == ["live", "shadow"]
    shadow.go.clear()
    queue.submit(shadow, products(1000), idle=True)
    wait_until(lambda: queue.expected_wait(1) > 0.0)
    with pytest.raises(BusyError):
        queue.submit(shadow, products(100), idle=True)
    shadow.go.set()


def test_who_hung_up_is_not_answered_and_others_are(batcher):
    model, queue = Model(), batcher(size=2)
    model.go.clear()
    first = queue.submit(model, products(1))
    wait_until(lambda: queue.expected_wait(1) > 0.0)
    gone, stays = queue.submit(model, products(50, 100)), queue.submit(model, [Product("stays")])
    assert gone.cancel()
    model.go.set()
    assert stays.result(30) == ["stays"]
    assert first.result(30) == ["0"]
    assert queue.submit(model, [Product("after")]).result(30) == ["after"]
    assert not {"100", "149"} & {one for batch in model.batches for one in batch}
    assert queue.waiting <= 1


def test_a_product_that_breaks_the_model_spoils_only_its_own_answer(batcher):
    def fragile(asked):
        if any(product.id == "2" for product in asked):
            raise ValueError("broken")
        return [product.id for product in asked]

    answers = batcher().submit(fragile, products(4)).result(30)
    assert answers[:2] == ["0", "1"]
    assert isinstance(answers[2], FailedPredictionError)
    assert answers[3] == "3"


def test_closing_answers_what_waits(batcher):
    model, queue = Model(), batcher(size=4)
    futures = [queue.submit(model, products(10)), queue.submit(model, products(3), idle=True)]
    queue.close()
    assert [len(future.result(0)) for future in futures] == [10, 3]
    with pytest.raises(BusyError):
        queue.submit(model, products(1))


def test_the_pace_knows_what_images_cost():
    pace = LatencyModel(size=64)
    assert pace.seconds(BatchLoad(100, 100)) == 0.0
    for count, images in ((1, 0), (64, 0), (10, 10), (5, 9), (30, 0), (2, 2)):
        pace.update(BatchLoad(count, images), 0.004 + 0.001 * count + 0.05 * images)
    assert pace.costs() == pytest.approx((0.004, 0.001, 0.05))
    assert pace.seconds(BatchLoad(128, 10)) == pytest.approx(2 * 0.004 + 0.128 + 0.5)


def test_a_load_is_counted():
    two = ImageRef(data=b"1"), ImageRef(data=b"2")
    load = BatchLoad.of([Product("a", images=two), Product("b")])
    assert load == (2, 2)
    assert load.plus(BatchLoad(1, 1), -1) == (1, 1)
