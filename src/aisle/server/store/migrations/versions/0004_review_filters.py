"""Columns of reviews that the queue is filtered by, notes, flags, and a table of discarded items."""

import sqlalchemy as sa
from alembic import op

from aisle.server.store.tables import discards, reviews

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns, filled from the predictions, and the table."""
    connection = op.get_bind()
    present = {column["name"] for column in sa.inspect(connection).get_columns("reviews")}
    discards.create(connection, checkfirst=True)
    if "title" in present:  # the first migration has created the table as it is now
        return
    with op.batch_alter_table("reviews") as table:
        for name in ("title", "best", "label", "note"):
            table.add_column(sa.Column(name, sa.Text, nullable=False, server_default=""))
        table.add_column(sa.Column("confidence", sa.Float, nullable=False, server_default="0"))
        table.add_column(sa.Column("flagged", sa.Boolean, nullable=False, server_default=sa.false()))
    queued = sa.select(reviews.c.id, reviews.c.fields, reviews.c.prediction)
    for item_id, fields, prediction in connection.execute(queued).tuples().all():
        values = {
            "title": fields.get("title", ""),
            "best": prediction["best"],
            "confidence": prediction["confidence"][-1],
        }
        connection.execute(reviews.update().where(reviews.c.id == item_id).values(values))
