"""For tests: a real server on a free port, a client that speaks the contract, and a clock to move."""

from hubbub.testing.client import Client, pass_time
from hubbub.testing.clock import ManualClock
from hubbub.testing.server import Address, Credentials, bearer, serve, server_fixture

__all__ = ["Address", "Client", "Credentials", "ManualClock", "bearer", "pass_time", "serve", "server_fixture"]
