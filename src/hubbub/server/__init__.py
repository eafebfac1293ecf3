"""`hubbub run`: the server process, its signals and its workers."""
