"""Measures event-loop lag. Above `max_loop_lag_s`, new requests get 503."""

import asyncio
import time

_INTERVAL = 0.25  # seconds


class LoopLagMonitor:
    """Measures how late a periodic callback of the running loop is."""

    def __init__(self) -> None:
        self._due = self._last = 0.0

    @property
    def lag_s(self) -> float:
        """Seconds that a callback which is ready now waits for its turn; 0 while not running."""
        return max(self._last, time.monotonic() - self._due) if self._due else 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        try:
            while True:
                self._due = time.monotonic() + _INTERVAL
                await asyncio.sleep(_INTERVAL)
                self._last = max(0.0, time.monotonic() - self._due)
        finally:
            self._due = 0.0
