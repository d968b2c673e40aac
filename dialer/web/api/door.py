"""The door of the API: routes, checks, answers. Every answer that is no success is a problem of RFC 9457."""

import hashlib
import json
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

import structlog
from aiohttp import web
from pydantic import BaseModel, ValidationError

from dialer.database.store import access
from dialer.database.transaction import AGAIN, AWAY
from dialer.domain.errors import ConfigError
from dialer.web.api import openapi
from dialer.web.api.access import Gatekeeper, Role, Who, masked
from dialer.web.api.operation import AnsweredError, Call, File, Once, Operation, Parts
from dialer.web.api.operations import OPERATIONS
from dialer.web.api.problem import Fault, Problem, respond

PREFIX: Final = "/api/v1"
LONGEST_KEY: Final = 200

log = structlog.get_logger()


class Api:
    """The operations over one daemon's parts."""

    def __init__(self, parts: Parts, keeper: Gatekeeper) -> None:
        self._parts = parts
        self._keeper = keeper

    def application(self, body_limit: int = 4 << 20) -> web.Application:
        """The aiohttp application that is mounted at PREFIX."""
        app = web.Application(client_max_size=body_limit, middlewares=[_problems])
        for operation in OPERATIONS:
            app.router.add_route(operation.method, operation.path, self._handler(operation))
        app.router.add_get("/openapi.json", self._openapi)
        app.router.add_route("*", "/{tail:.*}", _nothing)
        return app

    async def _openapi(self, request: web.Request) -> web.Response:
        return web.json_response(openapi.document(OPERATIONS, PREFIX))

    def _handler(self, operation: Operation) -> Any:
        async def handle(request: web.Request) -> web.Response:
            who = await self._keeper.who(request)
            if not who.may(operation.role):
                raise Problem(403, f"this needs the role {operation.role}; the token is a {who.role}'s")
            if operation.takes and request.content_type not in operation.takes:
                raise Problem(415, f"send a list as {' or '.join(operation.takes)}")
            raw = b"" if operation.takes else await request.read()
            call = Call(
                self._parts,
                who,
                dict(request.match_info),
                _checked(operation.query, _query(request), "query"),
                None if operation.body is None else _checked(operation.body, _json(request, raw), "body"),
                stream=request.content.iter_chunked(1 << 18) if operation.takes else None,
            )
            if operation.repeatable and (key := _key(request)) is not None:
                return await self._once(operation, call, key, raw)
            return _answer(operation.status, await _run(operation, call), who)

        return handle

    async def _once(self, operation: Operation, call: Call, key: str, raw: bytes) -> web.Response:
        """The operation, or what was answered to the first request of its key."""
        request = hashlib.sha256(f"{operation.name} {sorted(call.path.items())} ".encode() + raw).digest()
        given = await self._given(call.who, key)
        if given is None:
            call = replace(call, once=Once(call.who.name, key, request, operation.status))
            try:
                return _answer(operation.status, await _run(operation, call), call.who)
            except AnsweredError:
                given = await self._given(call.who, key)
        if given is None or given.request != request:
            raise Problem(409, "this Idempotency-Key was used for another request")
        response = _answer(given.status, given.answer, call.who)
        response.headers["Idempotency-Replayed"] = "true"
        return response

    async def _given(self, who: Who, key: str) -> access.Given | None:
        async with self._parts.pool.acquire() as conn:
            return await access.given(conn, who.name, key)


async def _run(operation: Operation, call: Call) -> BaseModel:
    try:
        return await operation.handler(call)
    except ConfigError as error:
        raise Problem(409, str(error)) from None


def _answer(status: int, said: BaseModel | Any, who: Who) -> web.Response:
    if isinstance(said, File):
        return web.Response(
            body=said.content,
            headers={
                "Content-Type": said.kind,
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(said.name)}",
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "no-store",
            },
        )
    body = said.model_dump(mode="json") if isinstance(said, BaseModel) else said
    if who.role is Role.VIEWER:
        body = masked(body)
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})


def _query(request: web.Request) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for key, value in request.query.items():
        if key in said:
            raise Problem(400, errors=[Fault(at=f"query.{key}", detail="is given twice")])
        said[key] = value
    return said


def _json(request: web.Request, raw: bytes) -> Any:
    if request.content_type != "application/json":
        raise Problem(415, "send JSON: Content-Type: application/json")
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from None


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _checked(model: type[BaseModel], value: Any, place: str) -> BaseModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [
            Fault(at=".".join(map(str, (place, *each["loc"]))), detail=each["msg"])
            for each in error.errors(include_url=False, include_input=False)
        ]
        raise Problem(400, f"the {place} is refused", faults) from None


def _key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isprintable() and key.isascii()):
        raise Problem(400, f"Idempotency-Key: 1 to {LONGEST_KEY} printable ASCII characters")
    return key


async def _nothing(request: web.Request) -> web.Response:
    raise Problem(404, f"there is nothing at {request.path}; see {PREFIX}/openapi.json")


@web.middleware
async def _problems(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except Problem as problem:
        return respond(problem)
    except web.HTTPException as error:
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return respond(Problem(error.status, error.reason, headers=allow))
    except (*AWAY, *AGAIN) as error:
        log.warning("api: database away", reason=type(error).__name__)
        return respond(Problem(503, "Postgres is away or too busy; try again", headers={"Retry-After": "5"}))
    return response
