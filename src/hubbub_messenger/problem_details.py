"""Errors as problem details (RFC 9457): every error of REST is one, as `application/problem+json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from starlette.exceptions import HTTPException

from hubbub import Unavailable
from hubbub_messenger.schemas import Schema, optional

MEDIA_TYPE: Final = "application/problem+json"

# The names of RFC 9110. Python before 3.13 has older ones.
_TITLES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}

CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="hubbub"'}
"""A 401 says how to authenticate (RFC 9110 section 11.6.1)."""


class InvalidInput(Schema):
    """One invalid value in a request."""

    location: str = Field(description="body, path, query or header", examples=["body"])
    pointer: str = Field(description="where it is, as a JSON Pointer (RFC 6901)", examples=["/username"])
    detail: str = Field(examples=["Field required"])


class Problem(Schema):
    """What went wrong (RFC 9457)."""

    type: str = Field(default="about:blank", examples=["about:blank"])
    title: str = Field(description="the name of the status code", examples=["Forbidden"])
    status: int = Field(examples=[403])
    detail: str | SkipJsonSchema[None] = optional(examples=["You are not a member of this conversation."])
    errors: list[InvalidInput] | SkipJsonSchema[None] = optional()


class ProblemResponse(JSONResponse):
    """A response with a problem as its body."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        errors: list[InvalidInput] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        problem = Problem(title=_title(status), status=status, detail=detail, errors=errors)
        super().__init__(problem.model_dump(by_alias=True), status, headers)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of the problems that a call may answer with."""
    return {status: {"model": Problem, "description": _title(status)} for status in statuses}


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem, and document it so."""

    async def handle_http_error(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - the app passes what this is registered for
        has_detail = error.detail != HTTPStatus(error.status_code).phrase  # Starlette's default detail
        return ProblemResponse(error.status_code, error.detail if has_detail else None, headers=error.headers)

    async def handle_invalid_request(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        found = error.errors()
        if any(item["type"] == "json_invalid" for item in found):
            return ProblemResponse(400, "The body is not valid JSON.")
        # The input is never echoed: it may hold a password, or text that cannot be encoded.
        return ProblemResponse(422, errors=[_invalid_input(item["loc"], item["msg"]) for item in found])

    async def handle_unavailable(request: Request, error: Exception) -> ProblemResponse:
        return ProblemResponse(503, "This is temporarily unavailable. Try again later.")

    async def handle_internal_error(request: Request, error: Exception) -> ProblemResponse:
        return ProblemResponse(500)

    app.add_exception_handler(HTTPException, handle_http_error)
    app.add_exception_handler(RequestValidationError, handle_invalid_request)
    app.add_exception_handler(Unavailable, handle_unavailable)
    app.add_exception_handler(Exception, handle_internal_error)
    app.openapi = _with_media_type(app.openapi)  # type: ignore[method-assign] # FastAPI's documented way to extend it


def _with_media_type(generate: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Document errors with their own media type. FastAPI documents every answer with the one of a success."""

    @cache
    def openapi() -> dict[str, Any]:
        schema = generate()
        for operation in (operation for path in schema["paths"].values() for operation in path.values()):
            for status, answer in operation["responses"].items():
                if status >= "400":
                    answer["content"] = {MEDIA_TYPE: answer["content"].pop("application/json")}
        return schema

    return openapi


def _title(status: int) -> str:
    return _TITLES.get(status) or HTTPStatus(status).phrase


def _invalid_input(path: tuple[str | int, ...], message: str) -> InvalidInput:
    location, *rest = path
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in rest)
    return InvalidInput(location=str(location), pointer=pointer, detail=message)
