"""Errors as problem details (RFC 9457): one shape for all of them, ``application/problem+json``."""

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
from hubbub_messenger.shapes import Shape, absent

MEDIA_TYPE: Final = "application/problem+json"

#: Python before 3.13 has the names that RFC 9110 replaced.
_RENAMED: Final = {413: "Content Too Large", 422: "Unprocessable Content"}

#: RFC 9110 section 11.6.1: a 401 says how to authenticate.
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="hubbub"'}


class InvalidInput(Shape):
    """One thing in the request that does not fit."""

    location: str = Field(description="body, path, query or header", examples=["body"])
    pointer: str = Field(description="where in it, as a JSON Pointer (RFC 6901)", examples=["/username"])
    detail: str = Field(examples=["Field required"])


class Problem(Shape):
    """What went wrong."""

    type: str = Field(default="about:blank", examples=["about:blank"])
    title: str = Field(description="the name of the status code", examples=["Forbidden"])
    status: int = Field(examples=[403])
    detail: str | SkipJsonSchema[None] = absent(examples=["You are no member of this conversation."])
    errors: list[InvalidInput] | SkipJsonSchema[None] = absent()


class ProblemResponse(JSONResponse):
    """Carries a problem."""

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
    """Documents which problems a call may answer with."""
    return {status: {"model": Problem, "description": _title(status)} for status in statuses}


def install(app: FastAPI) -> None:
    """Lets the app answer every error with a problem, and its documentation say so."""

    async def http_error(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - the app hands over what it is registered for
        is_bare = error.detail == HTTPStatus(error.status_code).phrase  # what Starlette puts where nothing was said
        detail = None if is_bare else error.detail
        return ProblemResponse(error.status_code, detail, headers=error.headers)

    async def invalid_request(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        found = error.errors()
        if any(item["type"] == "json_invalid" for item in found):
            return ProblemResponse(400, "The body is not valid JSON.")
        # What was sent is never echoed: it may hold a password, or text that cannot be encoded.
        return ProblemResponse(422, errors=[_invalid_input(item["loc"], item["msg"]) for item in found])

    async def unavailable(request: Request, error: Exception) -> ProblemResponse:
        return ProblemResponse(503, "What this needs is away for the moment.")

    async def internal_error(request: Request, error: Exception) -> ProblemResponse:
        return ProblemResponse(500)

    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid_request)
    app.add_exception_handler(Unavailable, unavailable)
    app.add_exception_handler(Exception, internal_error)
    app.openapi = _with_media_type(app.openapi)  # type: ignore[method-assign] # FastAPI's own way to extend it


def _with_media_type(generate: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Corrects the documentation: FastAPI gives every answer of a call the media type of a success."""

    @cache
    def openapi() -> dict[str, Any]:
        schema = generate()
        for call in (call for path in schema["paths"].values() for call in path.values()):
            for status, answer in call["responses"].items():
                if status >= "400":
                    answer["content"] = {MEDIA_TYPE: answer["content"].pop("application/json")}
        return schema

    return openapi


def _title(status: int) -> str:
    return _RENAMED.get(status) or HTTPStatus(status).phrase


def _invalid_input(path: tuple[str | int, ...], message: str) -> InvalidInput:
    location, *rest = path
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in rest)
    return InvalidInput(location=str(location), pointer=pointer, detail=message)
