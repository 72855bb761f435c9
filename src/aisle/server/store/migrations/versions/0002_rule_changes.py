"""A table of the changes of rules."""

from alembic import op

from aisle.server.store.tables import rule_changes

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    rule_changes.create(op.get_bind(), checkfirst=True)
