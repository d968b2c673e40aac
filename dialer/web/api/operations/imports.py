"""Imports: lists that join a campaign, how far they are, and what was refused."""

import asyncio
import gzip
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from dialer.database.store import campaigns, imports
from dialer.domain.campaign import CampaignState
from dialer.domain.phone import region_code
from dialer.intake.triggers import plain
from dialer.intake.uploads import LARGEST, TooLargeError, Upload
from dialer.web.api.access import Role
from dialer.web.api.operation import Asked, Call, File, Instant, Limit, Operation, Page, Told, behind, missing
from dialer.web.api.problem import Fault, Problem

MEDIA = ("text/csv", "application/x-ndjson", "application/octet-stream")


class Import(Told):
    """An import. ``size`` and ``position`` in bytes; ``read`` = ``added`` + ``present`` + ``rejected``, in rows.

    ``state`` is ``silent`` when it neither ended nor told of anything for two minutes: it was killed; send it again.
    """

    id: UUID
    campaign: str
    file: str
    state: Literal["running", "ended", "failed", "silent"]
    failure: str
    dry_run: bool
    actor: str
    size: int
    position: int
    read: int
    added: int
    present: int
    rejected: int
    rejects_kept: bool
    started_at: datetime
    ended_at: Instant


class AskImports(Asked):
    """Which imports; ``after``: an id, from a page's ``next``."""

    campaign: str | None = Field(default=None, max_length=63)
    after: UUID | None = None
    limit: Limit = 100


class AskImport(Asked):
    """How a list is read. ``file`` is its name; ``region`` replaces the campaign's default region."""

    file: str = Field(default="list.csv", min_length=1, max_length=200)
    region: str | None = Field(default=None, max_length=2)
    dry_run: bool = False


async def listing(call: Call) -> Page[Import]:
    """A page of imports, the latest first."""
    asked: AskImports = call.query
    async with call.parts.pool.acquire() as conn:
        before = None if asked.after is None else await imports.find(conn, asked.after, call.now)
        if asked.after is not None and before is None:
            return Page[Import](items=[])
        rows = await imports.listing(
            conn, campaign=plain(asked.campaign), before=before, most=asked.limit, now=call.now
        )
    return Page[Import](items=[Import.model_validate(row) for row in rows], next=behind(rows, asked.limit))


async def show(call: Call) -> Import:
    """One import."""
    wanted = call.id("import")
    async with call.parts.pool.acquire() as conn:
        row = await imports.find(conn, wanted, call.now)
    if row is None:
        raise missing("import", wanted)
    return Import.model_validate(row)


async def begin(call: Call) -> Import:
    """Take a list, and begin to import it."""
    name, asked = call.path["campaign"], call.query
    assert call.stream is not None
    region = None if asked.region is None else region_code(plain(asked.region))
    if asked.region is not None and region is None:
        fault = Fault(at="query.region", detail="is no ISO 3166 code: write two letters, such as DE")
        raise Problem(400, "the query is refused", [fault])
    async with call.parts.pool.acquire() as conn:
        row = await campaigns.find(conn, name)
    if row is None:
        raise missing("campaign", name)
    if row.state is CampaignState.STOPPED:
        raise Problem(409, f"campaign {name} is stopped, and takes nobody")
    upload = Upload(row, plain(asked.file), call.actor, region, asked.dry_run)
    try:
        import_id = await call.parts.uploads.take(upload, call.stream)
    except TooLargeError:
        raise Problem(413, f"a list has {LARGEST >> 20} MiB at most: cut it") from None
    async with call.parts.pool.acquire() as conn:
        return Import.model_validate(await imports.find(conn, import_id, call.now))


async def rejects(call: Call) -> File:
    """What was refused: line, reason, and the row as it was."""
    wanted = call.id("import")
    async with call.parts.pool.acquire() as conn:
        kept = await imports.rejects(conn, wanted)
    if kept is None:
        raise Problem(404, f"no reject file is kept of import {wanted}")
    content = await asyncio.to_thread(gzip.decompress, kept)
    return File(name=f"{wanted}.rejects.csv", content=content, kind="text/csv; charset=utf-8")


ONE = {"import": "uuid"}

OPERATIONS = (
    Operation(
        "list_imports",
        "GET",
        "/imports",
        Role.VIEWER,
        "Imports, the latest first",
        listing,
        Page[Import],
        query=AskImports,
    ),
    Operation(
        "get_import",
        "GET",
        "/imports/{import}",
        Role.VIEWER,
        "How an import stands",
        show,
        Import,
        parameters=ONE,
    ),
    Operation(
        "get_rejects",
        "GET",
        "/imports/{import}/rejects",
        Role.OPERATOR,
        "What an import refused, as CSV",
        rejects,
        File,
        gives="text/csv",
        parameters=ONE,
    ),
    Operation(
        "begin_import",
        "POST",
        "/campaigns/{campaign}/imports",
        Role.OPERATOR,
        "Import a list (CSV or JSONL) into a campaign, in the background",
        begin,
        Import,
        query=AskImport,
        takes=MEDIA,
        status=202,
        problems=frozenset({409}),
        parameters={"campaign": "name"},
    ),
)
