"""The first version: new stores are created from `tables.metadata` and start here."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """The base version; no change."""
