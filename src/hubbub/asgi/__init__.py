"""How a gateway lives with an ASGI app: its middleware and its lifespan."""
