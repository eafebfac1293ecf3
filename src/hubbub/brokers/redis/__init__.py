"""The broker of many nodes. Needs the extra `hubbub[redis]`."""
