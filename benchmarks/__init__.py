"""What Hubbub costs, measured side by side with the floor: a bare `send()` loop in C."""
