from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.python.asgi import get_client, shutdown_lifespans
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from hubbub import mint_token
from hubbub_messenger.app import create_app

from .conftest import development

Case = schemathesis.Case[Any]

CALLS = [
    ("POST", "/api/session"),
    ("DELETE", "/api/session"),
    ("POST", "/api/session/renew"),
    ("GET", "/api/me"),
    ("GET", "/api/users"),
    ("GET", "/api/users/{id}"),
    ("GET", "/api/conversations"),
    ("POST", "/api/conversations"),
    ("DELETE", "/api/conversations/{id}/members/me"),
    ("GET", "/api/conversations/{id}/messages"),
    ("POST", "/api/conversations/{id}/messages"),
    ("POST", "/api/conversations/{id}/read"),
    ("GET", "/api/presence"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
]


@pytest.fixture
def documented_app(postgres_url: str) -> Iterator[FastAPI]:
    """The app on the stricter of the two databases. Schemathesis starts it in a thread."""
    yield create_app(development(postgres_url))
    shutdown_lifespans()


def test_every_call_is_documented_and_no_other(documented_app: FastAPI) -> None:
    paths = documented_app.openapi()["paths"]

    assert {(method.upper(), path) for path, calls in paths.items() for method in calls} == set(CALLS)


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_response_is_documented(documented_app: Any, method: str, path: str) -> None:
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", documented_app)
    conversation = find_conversation(documented_app)

    @given(case=cases(schema[path][method], conversation if "conversations/{id}" in path else None))
    @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def ask(case: Case) -> None:
        case.cookies.clear()  # with a random token in addition to the valid one, every response would be 401
        # Data that fits the schema may name a user who does not exist, and get 422.
        case.call_and_validate(headers=alice(), excluded_checks=[ignored_auth, positive_data_acceptance])

    ask()


def cases(operation: schemathesis.APIOperation[Any, Any, Any, Any], known_id: str | None) -> st.SearchStrategy[Case]:
    """Return data that fits the schema, such data about an existing conversation, and data that does not fit."""

    def with_known_id(case: Case) -> Case:
        case.path_parameters["id"] = known_id
        return case

    strategies = [operation.as_strategy(GenerationMode.POSITIVE)]
    if known_id is not None:
        strategies.append(strategies[0].map(with_known_id))
    if operation.body or operation.query or operation.path_parameters:  # otherwise no value is invalid
        strategies.append(operation.as_strategy(GenerationMode.NEGATIVE))
    return st.one_of(strategies)


def find_conversation(app: Any) -> str:
    with get_client(app) as client:
        id: str = client.get("/api/conversations", headers=alice()).json()[0]["id"]
    return id


def alice() -> dict[str, str]:
    return {"Authorization": f"Bearer {mint_token('alice')}"}
