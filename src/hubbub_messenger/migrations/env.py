"""What Alembic runs to reach the database: the connection that it was handed, in the transaction of its owner."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from hubbub_messenger.models import Base, Moment


def render_item(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Writes our type as the plain one that it is to a database, so that old revisions need no code of today."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Moment) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter most things: batch mode makes a new table and copies
    render_item=render_item,
)
context.run_migrations()
