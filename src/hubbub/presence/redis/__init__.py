"""The presence of many nodes. Needs the extra `hubbub[redis]`."""
