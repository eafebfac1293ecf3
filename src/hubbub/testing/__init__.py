"""Tools for an app's own tests: a real server on a free port, a client that knows the contract, and a manual clock."""

from hubbub.testing.client import Client, pass_time
from hubbub.testing.clock import ManualClock
from hubbub.testing.server import Address, Credentials, bearer, serve, server_fixture

__all__ = ["Address", "Client", "Credentials", "ManualClock", "bearer", "pass_time", "serve", "server_fixture"]
