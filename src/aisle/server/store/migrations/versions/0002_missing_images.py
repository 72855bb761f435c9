"""Images that were given and could not be read, of feedback and of reviews."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns."""
    for table in ("feedback", "reviews"):
        column = sa.Column("missing_images", sa.JSON(), nullable=False, server_default="[]")
        op.add_column(table, column)


def downgrade() -> None:
    """Drop them."""
    for table in ("feedback", "reviews"):
        op.drop_column(table, "missing_images")
