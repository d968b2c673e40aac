"""Writes a verdict onto the wire, faults and all."""

import asyncio
import json
from datetime import UTC, datetime

from aiohttp import web

from .judge import Verdict
from .payload import zulu

_HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>\r\n"


async def answer(
    request: web.Request, verdict: Verdict, *, previous_call_id: str, stopping: asyncio.Event
) -> web.StreamResponse:
    """Answer ``request``, or break it off as the verdict says; a stopping simulator ends every wait."""
    match verdict.answer:
        case "hang":
            await pause(stopping, verdict.rule.hang_seconds if verdict.rule else 0)
            return _broken(request, reset=False)
        case "close":
            return _broken(request, reset=False)
        case "reset":
            return _broken(request, reset=True)
        case _:
            return await _body(request, verdict, previous_call_id, stopping)


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Wait, but not past the end of the simulator."""
    if seconds > 0:
        try:
            async with asyncio.timeout(seconds):
                await stopping.wait()
        except TimeoutError:
            pass


def _broken(request: web.Request, *, reset: bool) -> web.StreamResponse:
    if request.transport is not None:
        if reset:
            request.transport.abort()
        else:
            request.transport.close()
    return web.Response()  # aiohttp wants one; there is no longer a connection to write it to


async def _body(
    request: web.Request, verdict: Verdict, previous_call_id: str, stopping: asyncio.Event
) -> web.StreamResponse:
    status = verdict.status or 200
    headers = {"Retry-After": verdict.retry_after} if verdict.retry_after is not None else {}
    if verdict.answer == "redirect" and verdict.rule is not None:
        headers["Location"] = verdict.rule.location
    match verdict.body:
        case "html":
            text = _HTML.format(f"{status} {web.Response(status=status).reason}")
            return web.Response(status=status, text=text, content_type="text/html", headers=headers)
        case "empty":
            return web.Response(status=status, headers=headers)
        case "truncated":
            return await _truncated(request, _text(verdict, previous_call_id), status)
        case "huge":
            return await _huge(request, verdict.rule.size if verdict.rule else 0, status)
        case "drip":
            return await _drip(request, _text(verdict, previous_call_id), status, stopping)
        case _:
            return web.Response(
                status=status,
                text=_text(verdict, previous_call_id),
                content_type="application/json",
                headers=headers,
            )


def _text(verdict: Verdict, previous_call_id: str) -> str:
    """The JSON text, as documented for 200."""
    now = datetime.now(UTC)
    call_id = verdict.call.call_id if verdict.call else "call_never_placed"
    data: dict[str, object] = {"callId": call_id, "status": "initiated", "timestamp": zulu(now)}
    value: object = {"success": True, "data": data}
    if (verdict.status or 200) >= 300:
        value = {"success": False, "error": verdict.error}
    else:
        match verdict.body:
            case "wrong_types":
                value = {"success": "yes", "data": [call_id]}
            case "rejected":
                value = {"success": False, "error": "The call could not be initiated"}
            case "no_data":
                value = {"success": True}
            case "no_call_id":
                del data["callId"]
            case "null_call_id":
                data["callId"] = None
            case "duplicate_call_id":
                data["callId"] = previous_call_id
            case _:
                pass
    return json.dumps(value)


async def _start(request: web.Request, status: int, length: int | None) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    response.content_length = length
    await response.prepare(request)
    return response


async def _truncated(request: web.Request, text: str, status: int) -> web.StreamResponse:
    response = await _start(request, status, len(text))
    await response.write(text[: len(text) // 2].encode())
    if request.transport is not None:
        request.transport.close()
    return response


async def _huge(request: web.Request, size: int, status: int) -> web.StreamResponse:
    response = await _start(request, status, size)
    piece = b" " * 65536
    for sent in range(0, size, len(piece)):
        await response.write(piece[: size - sent])
    return response


async def _drip(request: web.Request, text: str, status: int, stopping: asyncio.Event) -> web.StreamResponse:
    response = await _start(request, status, len(text))
    for character in text:
        await response.write(character.encode())
        await pause(stopping, 1.0)
    return response
