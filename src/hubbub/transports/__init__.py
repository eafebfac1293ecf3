"""What carries a connection's bytes."""
