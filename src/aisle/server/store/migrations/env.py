"""Run by Alembic on the connection of a `ServerStore`."""

from alembic import context

from aisle.server.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
