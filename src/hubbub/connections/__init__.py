"""One socket: how it is let in, what it may do, and how it ends."""
