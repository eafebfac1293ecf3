"""The transports that carry the bytes of sockets: over uvicorn, or over plain ASGI."""
