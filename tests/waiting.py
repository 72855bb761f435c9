"""Waits on conditions, never for a fixed time."""

import threading
import time
from collections.abc import Callable


def wait_until(
    condition: Callable[..., object], *arguments: object, timeout: float = 120, every: float = 0.005
) -> None:
    """Return as soon as `condition(*arguments)` is true.

    Args:
        condition: Called again and again.
        arguments: Its arguments.
        timeout: Seconds after which waiting is given up.
        every: Seconds between two questions.

    Raises:
        AssertionError: The condition did not become true in time.
    """
    end, never = time.monotonic() + timeout, threading.Event()
    while not condition(*arguments):
        assert time.monotonic() < end, f"the condition was not met in {timeout} s"
        never.wait(every)
