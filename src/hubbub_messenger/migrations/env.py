"""The script that Alembic runs: it uses the caller's connection and transaction."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from hubbub_messenger.models import Base, UTCDateTime


def render_item(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Render our type as the database's own, so that revisions do not depend on later code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UTCDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite can hardly alter tables: batch mode copies into a new one
    render_item=render_item,
)
context.run_migrations()
