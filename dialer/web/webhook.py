"""The webhook door: read the raw bytes, verify, keep, and only then acknowledge.

200 means that the report is committed, or fsynced in the spool, and nothing else does. A refusal says one generic
sentence: nothing of what is expected leaks to whoever knocks.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog
from aiohttp import web

from dialer import crash
from dialer.calldock.report import Malformed, Report, parse
from dialer.calldock.signature import BadSignature, Form, Verified, Verifier
from dialer.engine.apply import Incoming, Receipt
from dialer.web.hooks import PATH as HOOKS
from dialer.web.hooks import Hooks
from dialer.web.receiver import Kept, Receiver
from dialer.web.suspects import Suspects
from dialer.web.wall import Wall, expected, unnamed

SIGNATURE: Final = "X-Calldock-Signature"

_TOLD: Final = {receipt: json.dumps({"status": receipt}).encode() for receipt in (*Receipt, Kept.SPOOLED)}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sender:
    """One agent as the door knows it; no verifier: unsigned reports are taken (a development flag)."""

    name: str
    agent_id: str
    verifier: Verifier | None


class Authentic(NamedTuple):
    """A body that its agent signed."""

    agent: str
    report: Report
    body: bytes
    form: str


@dataclass(frozen=True, slots=True)
class Overrun:
    """A suspect address asks for more work than such may."""


class Door:
    """The handler of reports."""

    def __init__(self, senders: Sequence[Sender], receiver: Receiver) -> None:
        self.adopt(senders)
        self._receiver = receiver
        self._suspects = Suspects()

    def adopt(self, senders: Sequence[Sender]) -> None:
        """Take reports of these from now on."""
        self._by_id: Mapping[str, Sender] = {sender.agent_id: sender for sender in senders}
        self._senders = senders

    async def handle(self, request: web.Request) -> web.Response:
        """One report: 200 when it is kept, 400, 401 or 429 for what is none, 503 when it cannot be kept."""
        raw = await request.read()
        match await self.authenticate(raw, request.headers.get(SIGNATURE), request.remote):
            case BadSignature(reason):
                # Who guesses on must not fill the log.
                say = log.debug if self._suspects.suspect(request.remote) else log.warning
                say("webhook refused", reason=reason)
                return web.json_response({"error": "invalid signature"}, status=401)
            case Overrun():
                return web.json_response(
                    {"error": "invalid signature"}, status=429, headers={"Retry-After": "10"}
                )
            case Malformed(reason):
                log.warning("webhook not understood", reason=reason)
                return web.json_response({"error": "not a report"}, status=400)
            case Authentic(agent, report, body, form):
                return await self._take(Incoming(agent, report, body, form))

    async def _take(self, incoming: Incoming) -> web.Response:
        crash.at("webhook.read")
        receipt: Receipt | Kept = await self._receiver.take(incoming)
        if receipt is Kept.REFUSED:
            return web.json_response({"error": "try again"}, status=503, headers={"Retry-After": "5"})
        crash.at("webhook.committed")
        return web.Response(body=_TOLD[receipt], content_type="application/json", charset="utf-8")

    async def authenticate(
        self, raw: bytes, signature: str | None, remote: str | None = None
    ) -> Authentic | BadSignature | Malformed | Overrun:
        """Whose report this is: of an agent that the body names, if its secret signed it; else of any whose did."""
        named = self._named(raw)
        found: Authentic | BadSignature | Malformed | Overrun | None = self._cheaply(named, raw, signature)
        if found is None:
            async with self._suspects.turn(remote) as granted:
                found = await self._dearly(named, raw, signature) if granted else Overrun()
        if isinstance(found, BadSignature):
            self._suspects.failed(remote)
        return found

    def _cheaply(
        self, named: Sequence[Sender], raw: bytes, signature: str | None
    ) -> Authentic | Malformed | BadSignature | None:
        """By the bytes as received alone; None: not by these."""
        for sender in named:
            if sender.verifier is None:
                return _read(sender, raw, "unsigned")
            if isinstance(sender.verifier.verify_raw(raw, signature), Verified):
                return self._of(sender, raw, Form.RAW)
        return None

    async def _dearly(
        self, named: Sequence[Sender], raw: bytes, signature: str | None
    ) -> Authentic | BadSignature | Malformed:
        """By every form that an agent may sign."""
        refused: BadSignature | None = None
        for sender in named:
            if sender.verifier is None:
                continue
            verified = await sender.verifier.verify(raw, signature)
            match verified:
                case Verified(form, body):
                    return self._of(sender, body, form)
                case BadSignature():
                    refused = refused or verified
        return refused or BadSignature("no agent is configured")

    def _of(self, sender: Sender, body: bytes, form: str) -> Authentic | Malformed | BadSignature:
        """A body that this sender signed, unless it says that it is another's of ours."""
        found = _read(sender, body, form)
        if isinstance(found, Authentic) and found.report.agent_id is not None:
            owner = self._by_id.get(found.report.agent_id, sender)
            if owner is not sender:
                return BadSignature("signed by another agent than it names")
        return found

    def _named(self, raw: bytes) -> list[Sender]:
        """Whom to try: those whose id stands anywhere in the body, else all. Nothing of it is read or believed."""
        named = [sender for sender in self._senders if f'"{sender.agent_id}"'.encode() in raw]
        return named or list(self._senders)


def _read(sender: Sender, body: bytes, form: str) -> Authentic | Malformed:
    report = parse(body)
    if isinstance(report, Malformed):
        return report
    return Authentic(sender.name, report, body, form)


def application(
    door: Door, *, path: str, body_limit: int, wall: Wall, hooks: Hooks | None = None
) -> web.Application:
    """The aiohttp application: the webhook, ``/healthz``, which a GET of the webhook is too, and the hooks of events.

    A longer body is refused with 413.
    """
    app = web.Application(client_max_size=body_limit, middlewares=[wall.middleware])
    app.on_response_prepare.append(unnamed)
    app.router.add_post(path, door.handle, expect_handler=expected)
    # The way of the reports can be tried without one.
    app.router.add_get(path, healthz)
    app.router.add_get("/healthz", healthz)
    if hooks is not None:
        for method in ("POST", "PUT", "GET"):
            app.router.add_route(method, HOOKS + "/{source}", hooks.handle, expect_handler=expected)
    return app


async def healthz(_: web.Request) -> web.Response:
    """The process is alive and its loop turns."""
    return web.json_response({"status": "ok"})
