"""Calls by hand: one real call, now or not at all, through the same gate as every other."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import Field

from dialer.database.queries import Connection
from dialer.database.store import imports
from dialer.engine import by_hand
from dialer.intake.triggers import plain
from dialer.web.api.access import Role
from dialer.web.api.number import number
from dialer.web.api.operation import NAME, Asked, Call, Operation, Told, missing
from dialer.web.api.problem import Problem

WITHIN = timedelta(seconds=30)


class AskCall(Asked):
    """Whom to call now. ``any_hour``: also outside 09:00-20:00 where the number is."""

    agent: str = Field(pattern=NAME)
    phone: str = Field(max_length=100)
    name: str = Field(default="", max_length=500)
    email: str = Field(default="", max_length=500)
    metadata: dict[str, Any] = Field(default_factory=dict)
    any_hour: bool = False


class Begun(Told):
    """The contact whose call it is: what becomes of it is told there."""

    contact_id: UUID


async def call_now(call: Call) -> Begun:
    """Call somebody within half a minute, or not at all."""
    asked: AskCall = call.body
    if asked.agent not in call.parts.settings.agents:
        raise missing("agent", asked.agent)
    wanted = by_hand.Wanted(
        asked.agent,
        number(asked.phone),
        plain(asked.name.strip()) or None,
        plain(asked.email.strip()) or None,
        plain(asked.metadata),
        asked.any_hour,
        WITHIN,
    )

    async def work(conn: Connection) -> Begun:
        done = await by_hand.enrol(
            conn, wanted, call.parts.settings.campaigns_dir, actor=call.actor, now=call.now
        )
        if isinstance(done, str):
            raise Problem(409, done)
        await imports.tell(conn)
        return Begun(contact_id=done[1])

    return await call.transact(work)


OPERATIONS = (
    Operation(
        "call_now",
        "POST",
        "/calls",
        Role.OPERATOR,
        "One real call, now or not at all",
        call_now,
        Begun,
        body=AskCall,
        problems=frozenset({409}),
        status=202,
        repeatable=True,
    ),
)
