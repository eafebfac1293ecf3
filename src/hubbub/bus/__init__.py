"""Publishing and fan-out: from an event to the sockets that hear it."""
