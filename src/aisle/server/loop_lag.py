"""How late the event loop runs: what it cannot even read in time is refused before it is read."""

import asyncio
import time

_EVERY = 0.25  # seconds


class Pulse:
    """A heartbeat in the loop that answers requests."""

    def __init__(self) -> None:
        self._due = self._last = 0.0

    @property
    def late(self) -> float:
        """Seconds by which whatever is ready to run has to wait for its turn; 0 where nothing beats."""
        return max(self._last, time.monotonic() - self._due) if self._due else 0.0

    async def beat(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._due = time.monotonic() + _EVERY
                await asyncio.sleep(_EVERY)
                self._last = max(0.0, time.monotonic() - self._due)
        finally:
            self._due = 0.0
