"""Timestamps: always in UTC and to the millisecond, so that every database stores what the API shows."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current time, cut to the millisecond."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def to_iso(timestamp: datetime) -> str:
    """Return a timestamp in ISO 8601: `2030-01-31T12:00:00.000Z`."""
    return timestamp.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
