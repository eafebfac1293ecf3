"""Moments: always UTC, always to the millisecond, written the same way by every database and on every wire."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Gives the present, cut to the millisecond, so that what is stored is exactly what is shown."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def iso(moment: datetime) -> str:
    """Writes a moment as ISO 8601: ``2030-01-31T12:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
