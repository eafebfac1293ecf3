"""Connections to Redis or Valkey, shared by the broker and by presence. Needs the extra `hubbub[redis]`."""
