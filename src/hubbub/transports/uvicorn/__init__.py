"""WebSockets on uvicorn's own port, and the bytes of each straight on its transport."""
