"""One socket: how it is admitted, what it may do, and how it ends."""
