"""The domains: what the bus understands, one module each."""
