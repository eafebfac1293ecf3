"""Authentication: who is connecting, and from which web page."""
