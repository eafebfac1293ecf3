"""Who is connecting, and from which web page."""
