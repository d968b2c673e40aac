"""A whole engine over the test's database, with a clock that stands still until it is advanced.

States are reached by the engine's own verbs: a contact is imported by insert, everything after that is done by the
gate, the settler, the applier and the rescuer.
"""

import asyncio
import heapq
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

import asyncpg
import pytest

from dialer.calldock.messages import Answer, NotSent, Placed, PlaceResult, Throttled, Unconfirmed
from dialer.calldock.report import Malformed, parse
from dialer.campaign_file import CampaignFile
from dialer.database.pool import create_pool
from dialer.database.store import agents, campaigns, contacts
from dialer.database.transaction import transact
from dialer.domain.attempt import AttemptState
from dialer.domain.campaign import Campaign, CampaignState
from dialer.domain.ids import new_id
from dialer.engine import steer
from dialer.engine.apply import Applier, Incoming, Receipt
from dialer.engine.definitions import Definitions
from dialer.engine.gate import Gate
from dialer.engine.passage import Line, Passage, Passed
from dialer.engine.pulse import Pulse
from dialer.engine.rescue import Rescuer
from dialer.engine.settle import Settler
from dialer.engine.throttle import Throttle
from dialer.engine.wake import Wake

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""A Monday."""

AGENTS = ("sales", "care")
SECRETS = {"sales": b"sales token secret", "care": b"care token secret"}
SALES = Line("sales", Decimal(50), None, SECRETS["sales"], key_mark="mark")
CARE = Line("care", Decimal(50), None, SECRETS["care"], key_mark="mark")


class FakeClock:
    """Stands still. ``advance`` wakes sleepers in the order of their times and lets each run before the next."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._order = itertools.count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self.witness: Callable[[], Awaitable[None]] | None = None

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        until = self._now + timedelta(seconds=seconds)
        heapq.heappush(self._sleepers, (until, next(self._order), future))
        await future

    async def advance(self, wait: timedelta | float) -> None:
        end = self._now + (wait if isinstance(wait, timedelta) else timedelta(seconds=wait))
        while self._sleepers and self._sleepers[0][0] <= end:
            until, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, until)
            if not future.done():
                future.set_result(None)
            await asyncio.sleep(0)
        self._now = end
        if self.witness is not None:
            await self.witness()


class Engine:
    """The verbs over one database, as one daemon has them."""

    def __init__(self, pool: asyncpg.Pool, clock: FakeClock) -> None:
        self.pool = pool
        self.clock = clock
        self.wake = Wake(AGENTS)
        self.definitions = Definitions()
        self.throttle = Throttle()
        self.daemon = new_id(clock.now())
        self.gate = Gate(pool, clock, self.definitions, self.daemon)
        self.settler = Settler(
            pool, clock, self.wake, self.throttle, dict.fromkeys(AGENTS, "mark"), linger=0.0
        )
        self.applier = Applier(
            pool, clock, self.definitions, self.wake, {name: (secret,) for name, secret in SECRETS.items()}
        )
        self.pulse = Pulse(pool, clock, self.daemon, host="test", pid=1)
        self.rescuer = Rescuer(pool, clock, self.definitions, self.wake, self.pulse)
        self._phones = (f"+1415{number:07d}" for number in itertools.count(5550000))
        self._calls = itertools.count(1)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        async with self.pool.acquire() as conn:
            await agents.ensure(conn, AGENTS, self.clock.now())
        self.clock.witness = self.beat
        self._tasks = [asyncio.create_task(b.run()) for b in (self.settler.batch, self.applier.batch)]

    async def beat(self) -> None:
        """The daemon was alive all the time that the clock was moved by."""
        async with self.pool.acquire() as conn:
            await agents.beat(conn, self.daemon, "test", 1, self.clock.now())

    async def stop(self) -> None:
        self.settler.batch.close()
        self.applier.batch.close()
        await asyncio.gather(*self._tasks)

    # What an operator does.

    async def campaign(
        self, name: str = "promo", *, agent: str = "sales", start: bool = True, **sections: Any
    ) -> UUID:
        """A campaign whose window is always open, unless the sections say otherwise."""
        file = definition(name, agent=agent, **sections)
        now = self.clock.now()

        async def work(conn: Any) -> UUID:
            await steer.apply(conn, file, actor="test", now=now)
            row = await campaigns.find(conn, name)
            assert row is not None
            if start and row.state is not CampaignState.ACTIVE:
                await steer.start(conn, name, actor="test", now=now)
            return row.id

        return await transact(self.pool, work)

    async def contact(
        self,
        campaign: UUID,
        phone: str | None = None,
        *,
        asked_at: datetime | None = None,
        zones: tuple[str, ...] = ("America/New_York",),
        expires_at: datetime | None = None,
        key: str | None = None,
    ) -> UUID:
        now = self.clock.now()
        contact_id = new_id(now)
        async with self.pool.acquire() as conn:
            assert await contacts.insert(
                conn,
                contact_id=contact_id,
                campaign_id=campaign,
                key=key or str(contact_id),
                phone=phone or next(self._phones),
                name="Ada",
                email=None,
                metadata={"order": 7},
                zones=zones,
                region="US",
                asked_at=asked_at or now,
                expires_at=expires_at,
                now=now,
            )
        return contact_id

    async def steer(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        """One verb of ``steer`` in its transaction."""

        async def work(conn: Any) -> Any:
            return await verb(conn, *args, **kwargs)

        return await transact(self.pool, work)

    # What the daemon does.

    async def open(self, line: Line = SALES, **kwargs: Any) -> Passage:
        return await self.gate.open(line, **kwargs)

    async def dial(self, line: Line = SALES) -> Passed:
        """Open the gate for exactly one contact; a second passes only after its slot."""
        passage = await self.open(line, most=1)
        assert len(passage.passed) == 1, f"{len(passage.passed)} passed"
        return passage.passed[0]

    async def answer(self, passed: Passed, result: PlaceResult, status: int | None = None) -> AttemptState:
        return await self.settler.settle(passed, Answer(result, status, 0.1))

    async def place(self, line: Line = SALES) -> Passed:
        """Dial one contact; the provider says that it calls."""
        passed = await self.dial(line)
        assert await self.answer(passed, Placed(call_id(passed)), 200) is AttemptState.PLACED
        return passed

    async def report(self, body: bytes, agent: str = "sales") -> Receipt:
        report = parse(body)
        assert not isinstance(report, Malformed), report
        return await self.applier.receive(Incoming(agent, report, body, "raw"))

    async def attempt(self, state: AttemptState, campaign: UUID) -> Passed:
        """An attempt in any state, of a new contact of this campaign."""
        await self.contact(campaign)
        passed = await self.dial()
        match state:
            case AttemptState.DIALING:
                pass
            case AttemptState.PLACED:
                await self.answer(passed, Placed(call_id(passed)), 200)
            case AttemptState.REPORTED:
                await self.answer(passed, Placed(call_id(passed)), 200)
                assert await self.report(body(passed)) is Receipt.APPLIED
            case AttemptState.NOT_PLACED:
                await self.answer(passed, Throttled(timedelta(hours=1)), 429)
            case AttemptState.ABORTED:
                await self.answer(passed, NotSent("late", late=True))
            case AttemptState.UNKNOWN:
                await self.answer(passed, Unconfirmed("reset"))
            case AttemptState.UNREPORTED:
                await self.answer(passed, Placed(call_id(passed)), 200)
                await self.clock.advance(timedelta(hours=2))
                await self.rescuer.sweep()
        assert (await self.get(passed))["state"] == state
        return passed

    # What is so.

    async def get(self, of: Passed | UUID) -> asyncpg.Record:
        """The attempt's row, or the contact's."""
        if isinstance(of, UUID):
            return await self.pool.fetchrow("select * from contacts where id = $1", of)
        return await self.pool.fetchrow("select * from attempts where id = $1", of.attempt_id)

    async def money(self) -> dict[str, Decimal]:
        """Credits by account, and what must be equal."""
        row = await self.pool.fetchrow(
            """
            select coalesce((select sum(credits) from ledger where campaign_id is not null), 0) as campaigns,
                   coalesce((select sum(credits) from ledger where campaign_id is null), 0) as suspense,
                   coalesce((select sum(spent) from spend), 0) as spent,
                   coalesce((select sum(credits) from reports
                             where state in ('applied', 'unmatched', 'ignored')), 0) as reported,
                   coalesce((select sum(credits) from attempts), 0) as attempts
            """
        )
        return dict(row)

    async def balanced(self) -> dict[str, Decimal]:
        """``money``, after the books were found in order."""
        money = await self.money()
        assert money["campaigns"] + money["suspense"] == money["reported"]
        assert money["spent"] == money["campaigns"]
        assert money["attempts"] == money["campaigns"]
        assert (
            await self.pool.fetchval(
                """select count(*) from spend s where s.spent <> (
                     select coalesce(sum(l.credits), 0) from ledger l where l.campaign_id = s.campaign_id)"""
            )
            == 0
        )
        return money

    async def sound(self) -> None:
        """Contacts and attempts agree with one another."""
        assert (
            await self.pool.fetch(
                """select c.id from contacts c where (c.state = 'calling') <> exists (
                 select 1 from attempts a where a.contact_id = c.id and a.state in ('dialing', 'placed', 'unknown'))"""
            )
            == []
        )
        assert (
            await self.pool.fetch(
                """select c.id from contacts c
                   where c.tries <> (select count(*) from attempts a where a.contact_id = c.id)"""
            )
            == []
        )
        assert (
            await self.pool.fetch(
                """select phone from attempts where state in ('dialing', 'placed', 'unknown')
               group by phone having count(*) > 1"""
            )
            == []
        )
        assert (
            await self.pool.fetch(
                "select id from attempts where state not in ('dialing', 'placed', 'unknown') and reserved <> 0"
            )
            == []
        )
        await tallied(self.pool)


COUNTED = (
    """select campaign_id, state, disposition, reason, attempts > 0 as called, count(*) as contacts
       from contacts group by 1, 2, 3, 4, 5""",
    """select campaign_id, (began_at at time zone 'UTC')::date as day, hour, number, state, disposition,
              count(*) as calls, count(*) filter (where success) as successes,
              count(*) filter (where state = 'unreported' and credits is null) as uncosted,
              coalesce(sum(credits), 0) as credits
       from attempts where closed_at is not null group by 1, 2, 3, 4, 5, 6""",
)


async def tallied(pool: asyncpg.Pool) -> None:
    """The tallies are what counting would tell."""
    for view, query in zip(("contact_counts", "call_counts"), COUNTED, strict=True):
        counted = {tuple(row) for row in await pool.fetch(query)}
        assert {tuple(row) for row in await pool.fetch(f"select * from {view}")} == counted


def definition(name: str = "promo", *, agent: str = "sales", **sections: Any) -> CampaignFile:
    sections.setdefault("window", {"always": True})
    campaign = Campaign.model_validate({"name": name, "agent": agent, **sections})
    return CampaignFile(campaign, f"# {name}", "checksum")


def call_id(passed: Passed) -> str:
    """What make-call answered in ``place``."""
    return f"call_{passed.attempt_id.hex[-12:]}"


def body(
    passed: Passed | None = None,
    *,
    call: str | None = "",
    phone: str | None = None,
    start: datetime | None = None,
    credits: object = 0.527,
    token: str | None = None,
    **fields: object,
) -> bytes:
    """The documented report, of this attempt or of nobody's; ``call`` is another id than make-call's, by default."""
    began = start or (passed.slot_at if passed else NOON)
    number = phone or (passed.request.phone if passed else "+14155550199")
    said: dict[str, object] = {
        "webhook_version": "v1",
        "webhook_timestamp": iso(began + timedelta(minutes=3)),
        "webhook_type": "post_call",
        "call_id": f"conv_{passed.attempt_id.hex[-12:] if passed else 'nobody'}" if call == "" else call,
        "agent_id": "agent_1",
        "phone_number": number,
        "from_phone_number": "+13239776447",
        "status": "done",
        "intent": "account_setup",
        "intent_confidence": 0.9,
        "lead_data": {"name": "John Doe", "email": "john@example.com", "phone": number},
        "duration_minutes": 2.35,
        "duration_seconds": 141,
        "start_time": iso(began),
        "end_time": iso(began + timedelta(seconds=141)),
        "call_successful": "success",
        "language": "en",
        "credits_deducted": credits,
        "metadata": {"summary": "…", "transcript": "User: Yes", **({"token": token} if token else {})},
        "recording_url": "https://www.calldock.co/api/recordings/conv_1",
        **fields,
    }
    return json.dumps(
        {key: value for key, value in said.items() if value is not ...}, ensure_ascii=False
    ).encode()


def iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


class Relay:
    """A way to the database that can be cut: a unix socket in front of the server's own."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self._dsn = dsn
        self._folder = folder
        self._name = ".s.PGSQL.5432"
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._folder / self._name)

    async def cut(self) -> None:
        """Refuse new connections, and end those that there are."""
        assert self._server is not None
        self._server.close()
        (self._folder / self._name).unlink(missing_ok=True)
        for writer in tuple(self._writers):
            writer.transport.abort()

    @asynccontextmanager
    async def pool(self) -> AsyncIterator[asyncpg.Pool]:
        parts = urlsplit(self._dsn)
        query = {**dict(parse_qsl(parts.query)), "host": str(self._folder), "port": "5432"}
        user = f"{parts.username}@" if parts.username else ""
        pool = await create_pool(
            f"postgresql://{user}{parts.path}?{urlencode(query)}", min_size=1, max_size=4
        )
        yield pool
        pool.terminate()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(self._dsn)
        query = dict(parse_qsl(parts.query))
        host, port = query.get("host", parts.hostname or ""), query.get("port", str(parts.port or 5432))
        if host.startswith("/"):
            there = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            there = await asyncio.open_connection(host, int(port))
        self._writers |= {writer, there[1]}
        await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
        self._writers -= {writer, there[1]}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def relay(database: str, scratch: Path) -> AsyncIterator[Relay]:
    with TemporaryDirectory(dir=scratch) as folder:
        relay = Relay(database, Path(folder))
        await relay.listen()
        yield relay
        await relay.cut()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
async def engine(pool: asyncpg.Pool, clock: FakeClock) -> AsyncIterator[Engine]:
    engine = Engine(pool, clock)
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture
def tools() -> Any:
    """The functions of this file, for tests are no package."""
    return __import__("types").SimpleNamespace(**globals())
