"""The single source of truth: every event's name, payload type, direction and audience."""
