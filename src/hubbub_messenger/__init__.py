"""The reference application of Hubbub: a messenger's REST backend. `realtime.py` wires it to the event bus."""

from importlib.util import find_spec

from hubbub import ConfigurationError

if find_spec("fastapi") is None or find_spec("sqlalchemy") is None:
    raise ConfigurationError("the messenger needs more packages: pip install 'hubbub[messenger]'")
