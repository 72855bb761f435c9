"""A table of uploaded files and their classification."""

from alembic import op

from aisle.server.store.tables import batches

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    batches.create(op.get_bind(), checkfirst=True)
