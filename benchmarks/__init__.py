"""The cost of Hubbub, measured side by side with the floor: a bare `send()` loop in C."""
