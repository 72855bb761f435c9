"""Where the real data lies; tests that need it skip where it is absent, unless it is required to be there."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("AISLE_SHARED", Path(__file__).parents[2] / "shared"))
DATA = SHARED / "data"
if os.environ.get("AISLE_REQUIRE_SHARED", "0") != "0" and not SHARED.is_dir():
    raise FileNotFoundError(f"AISLE_REQUIRE_SHARED is set, and the real data is not at {SHARED}")
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"the real data is not at {SHARED} (AISLE_SHARED names another place)"
)
