"""Problems: what is answered when something is wrong, as RFC 9457 says it."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel, Field

TYPE = "application/problem+json"


class Fault(BaseModel):
    """One wrong value: where it stands in the request, and why it is refused."""

    at: str = Field(description="Such as query.limit or body.contacts.0.phone.")
    detail: str


class ProblemDetail(BaseModel):
    """What is wrong, and how to mend it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    errors: list[Fault] = []


class Problem(Exception):  # the name of the standard
    """Ends an operation with a problem; it is answered, not logged."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


def respond(problem: Problem) -> web.Response:
    """The response that says so."""
    said = ProblemDetail(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        errors=problem.errors,
    )
    body: dict[str, Any] = said.model_dump(mode="json")
    return web.Response(
        status=problem.status, text=json.dumps(body), content_type=TYPE, headers=problem.headers
    )
