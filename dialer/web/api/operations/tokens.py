"""Tokens: who may use the API."""

import secrets
from datetime import datetime

from pydantic import AwareDatetime, Field

from dialer.database.queries import Connection
from dialer.database.store import access
from dialer.domain.ids import new_id
from dialer.web.api.access import Role
from dialer.web.api.operation import NAME, Asked, Call, Instant, Operation, Told, missing
from dialer.web.api.problem import Problem


class Token(Told):
    """A token, without what it opens."""

    name: str
    role: Role
    created_at: datetime
    created_by: str
    expires_at: Instant
    used_at: Instant
    revoked_at: Instant


class Tokens(Told):
    """All tokens."""

    items: list[Token]


class AskToken(Asked):
    """A name, and what it may do."""

    name: str = Field(pattern=NAME)
    role: Role
    expires_at: AwareDatetime | None = None


class Given(Told):
    """A new token. ``secret`` is shown this once."""

    name: str
    role: Role
    secret: str


class Revoked(Told):
    """It opens nothing from now on."""

    name: str


async def listing(call: Call) -> Tokens:
    """All tokens."""
    async with call.parts.pool.acquire() as conn:
        return Tokens(items=[Token.model_validate(row) for row in await access.listing(conn)])


async def add(call: Call) -> Given:
    """A new token."""
    asked: AskToken = call.body
    secret = new_secret()

    async def work(conn: Connection) -> Given:
        made = await access.add(
            conn,
            new_id(call.now),
            asked.name,
            asked.role,
            secret,
            actor=call.actor,
            expires_at=asked.expires_at,
            now=call.now,
        )
        if not made:
            raise Problem(409, f"a token named {asked.name} is in force; revoke it first")
        return Given(name=asked.name, role=asked.role, secret=secret)

    return await call.transact(work)


async def revoke(call: Call) -> Revoked:
    """End a token."""
    name = call.path["token"]

    async def work(conn: Connection) -> Revoked:
        if not await access.revoke(conn, name, call.now):
            raise missing("token", name)
        return Revoked(name=name)

    return await call.transact(work)


def new_secret() -> str:
    """256 bits, with a beginning by which a leaked one is known."""
    return f"dialer_{secrets.token_urlsafe(32)}"


OPERATIONS = (
    Operation(
        "list_tokens", "GET", "/tokens", Role.ADMIN, "All tokens, without what they open", listing, Tokens
    ),
    Operation(
        "add_token",
        "POST",
        "/tokens",
        Role.ADMIN,
        "A new token; its secret is shown this once",
        add,
        Given,
        body=AskToken,
        problems=frozenset({409}),
        status=201,
    ),
    Operation(
        "revoke_token",
        "DELETE",
        "/tokens/{token}",
        Role.ADMIN,
        "End a token",
        revoke,
        Revoked,
        parameters={"token": "name"},
    ),
)
