"""The REST calls, one file per resource. Docstrings of endpoints are part of the OpenAPI document."""
