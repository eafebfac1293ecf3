"""The reference system of Hubbub: a messenger's REST backend, wired to the bus in ``realtime.py``."""
