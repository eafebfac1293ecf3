"""WebSockets on uvicorn's own port, straight on its transports."""
