"""How published events travel between nodes."""
