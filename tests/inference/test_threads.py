"""Work in threads, its results in order."""

import threading

import pytest

from aisle.inference.prefetch import prefetch


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 17])
def test_results_come_in_order(threads, count):
    assert list(prefetch(lambda x: x * x, iter(range(count)), threads)) == [x * x for x in range(count)]


def test_items_are_worked_on_beside_each_other_and_a_stream_is_never_held_whole():
    both, taken = threading.Barrier(2, timeout=10), []

    def items():
        for i in range(20):
            taken.append(i)
            yield i

    def work(item):
        both.wait()  # two at once, or this fails
        return item

    results = prefetch(work, items(), 2)
    assert next(results) == 0
    assert len(taken) <= 4
    assert list(results) == list(range(1, 20))


def test_what_goes_wrong_in_a_thread_comes_out():
    def work(item):
        if item == 3:
            raise OSError("gone")
        return item

    with pytest.raises(OSError, match="gone"):
        list(prefetch(work, range(9), 2))


def test_a_single_item_needs_no_thread():
    here = threading.get_ident()
    assert list(prefetch(lambda _: threading.get_ident(), [1], 4)) == [here]
