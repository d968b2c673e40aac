"""Tokens, and answers that were given."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from dialer.database.queries import Connection, load

queries = load("access")


@dataclass(frozen=True, slots=True)
class Token:
    """Who may do what."""

    id: UUID
    name: str
    role: str
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Given:
    """What was answered to a request; ``request`` is its SHA-256."""

    request: bytes
    status: int
    answer: Any


def digest(secret: str) -> bytes:
    """What is kept of a token. It is random and long, so nobody guesses it from that."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


async def add(
    conn: Connection,
    token_id: UUID,
    name: str,
    role: str,
    secret: str,
    *,
    actor: str,
    expires_at: datetime | None,
    now: datetime,
) -> bool:
    """A new token; False: one of this name is in force."""
    row = await queries.insert_token(
        conn,
        id=token_id,
        name=name,
        role=role,
        digest=digest(secret),
        created_by=actor,
        expires_at=expires_at,
        now=now,
    )
    return row is not None


async def find(conn: Connection, secret: str, now: datetime) -> Token | None:
    """The token that is this secret, if it is in force."""
    row = await queries.find_token(conn, digest=digest(secret), now=now)
    return Token(**dict(row)) if row else None


async def used(conn: Connection, token: UUID, now: datetime) -> None:
    """It was used."""
    await queries.use_token(conn, id=token, now=now)


async def listing(conn: Connection) -> list[dict[str, Any]]:
    """Every token, without what it opens, as columns by name."""
    return [dict(row) async for row in queries.list_tokens(conn)]


async def revoke(conn: Connection, name: str, now: datetime) -> bool:
    """End a token; False: none of this name is in force."""
    return await queries.revoke_token(conn, name=name, now=now) is not None


async def claim(conn: Connection, actor: str, key: str, request: bytes, now: datetime) -> bool:
    """Be the first request of this key; False: there was one, and its answer is there."""
    return await queries.claim_answer(conn, actor=actor, key=key, request=request, now=now) is not None


async def given(conn: Connection, actor: str, key: str) -> Given | None:
    """What was answered."""
    row = await queries.given_answer(conn, actor=actor, key=key)
    return Given(**dict(row)) if row else None


async def keep(conn: Connection, actor: str, key: str, status: int, answer: Any) -> None:
    """Keep an answer with what it tells of."""
    await queries.keep_answer(conn, actor=actor, key=key, status=status, answer=answer)


async def forget_answers(conn: Connection, before: datetime) -> None:
    """Forget what was answered before an instant."""
    await queries.forget_answers(conn, before=before)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is signed in; ``csrf`` is what every change must bear beside the cookie."""

    name: str
    role: str
    csrf: str


async def sign_in(
    conn: Connection, secret: str, who: SignedIn, *, expires_at: datetime, now: datetime
) -> None:
    """Begin a session; ``secret`` is its cookie."""
    await queries.insert_session(
        conn,
        digest=digest(secret),
        name=who.name,
        role=who.role,
        csrf=who.csrf,
        expires_at=expires_at,
        now=now,
    )
    await queries.forget_sessions(conn, now=now)


async def signed_in(conn: Connection, secret: str, now: datetime) -> SignedIn | None:
    """Whose session it is, if it is not over and its token not revoked."""
    row = await queries.find_session(conn, digest=digest(secret), now=now)
    return SignedIn(**dict(row)) if row else None


async def sign_out(conn: Connection, secret: str) -> None:
    """End a session."""
    await queries.end_session(conn, digest=digest(secret))


async def add_link(
    conn: Connection, secret: str, name: str, role: str, *, expires_at: datetime, now: datetime
) -> None:
    """A link that signs somebody in once."""
    await queries.insert_link(
        conn, digest=digest(secret), name=name, role=role, expires_at=expires_at, now=now
    )


async def use_link(conn: Connection, secret: str, now: datetime) -> tuple[str, str] | None:
    """The name and role of a link, whose one use this is; None: it opens nothing."""
    row = await queries.use_link(conn, digest=digest(secret), now=now)
    return (row["name"], row["role"]) if row else None


async def anybody(conn: Connection) -> bool:
    """Whether anybody was ever given a way in."""
    found: bool = await queries.any_access(conn)
    return found
