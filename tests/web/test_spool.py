"""The spool: what is acknowledged is on disk, whole, in order, and is handed on once Postgres is back."""

import asyncio
import contextlib
import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from dialer import shipped
from dialer.database.embedded import Embedded
from dialer.database.migrations import migrate
from dialer.database.pool import create_pool
from dialer.engine.rescue import Rescuer
from dialer.web.spool import MAGIC, Claim, Spool, Spooled, decode

DEADLINE = 40
CAME = datetime(2026, 6, 1, 12, tzinfo=UTC)


def record(number: int, size: int = 10) -> Spooled:
    return Spooled("sales", "raw", CAME + timedelta(seconds=number), b"%d " % number + b"x" * size)


@contextlib.asynccontextmanager
async def running(folder: Path, limit: int = 1 << 20) -> AsyncIterator[Spool]:
    spool = Spool(folder, limit)
    writing = asyncio.create_task(spool.batch.run())
    yield spool
    spool.batch.close()
    await asyncio.wait_for(writing, DEADLINE)


async def drained(spool: Spool) -> list[Spooled]:
    found = []
    while (claim := await spool.claim()) is not None:
        found += claim.records
        claim.done()
    return found


async def test_what_is_appended_comes_back_in_order_and_then_the_folder_is_empty(tmp_path):
    async with running(tmp_path / "spool") as spool:
        assert spool.empty()
        records = [record(i) for i in range(50)]
        await asyncio.gather(*(spool.append(one) for one in records))
        assert not spool.empty()
        assert await drained(spool) == records
        assert spool.empty()
        assert list((tmp_path / "spool").iterdir()) == []


async def test_what_comes_during_a_drain_is_drained_after_it(tmp_path):
    async with running(tmp_path / "spool") as spool:
        await spool.append(record(1))
        claim = await spool.claim()
        await spool.append(record(2))
        assert claim is not None
        assert claim.records == [record(1)]
        claim.done()
        assert not spool.empty()
        assert await drained(spool) == [record(2)]


async def test_nobody_else_may_read_it(tmp_path):
    async with running(tmp_path / "spool") as spool:
        await spool.append(record(1))
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "spool").iterdir()] == [0o600]


async def test_an_append_returns_after_an_fsync_of_its_bytes(tmp_path, monkeypatch):
    synced: list[int] = []
    real = os.fsync

    def fsync(file: int) -> None:
        real(file)
        synced.append(os.fstat(file).st_size if stat.S_ISREG(os.fstat(file).st_mode) else 0)

    monkeypatch.setattr(os, "fsync", fsync)
    async with running(tmp_path / "spool") as spool:
        await spool.append(record(1))
        assert synced[-1] == len(record(1).encode())
        before = len(synced)
        await asyncio.gather(*(spool.append(record(i)) for i in range(100)))
        assert synced[-1] > 100 * len(record(1).encode()) - 100
        assert len(synced) - before < 100, "one fsync for many"


@pytest.mark.parametrize("cut", [1, 5, 20, 24, 25, 60])
def test_a_torn_end_is_cut_off_wherever_it_was_torn(tmp_path, cut):
    path = tmp_path / "a.spool"
    whole = record(1).encode() + record(2).encode()
    path.write_bytes(whole + record(3).encode()[:cut])
    claim = Claim.take(path)
    assert claim is not None
    assert claim.records == [record(1), record(2)]
    assert path.read_bytes() == whole
    claim.done()
    assert not path.exists()


def test_every_prefix_of_a_file_yields_its_whole_records_and_nothing_else():
    data = b"".join(record(i).encode() for i in range(4))
    ends = [sum(len(record(i).encode()) for i in range(n)) for n in range(5)]
    for length in range(len(data) + 1):
        found = decode(data[:length])
        whole = sum(end <= length for end in ends) - 1
        assert found.records == [record(i) for i in range(whole)]
        assert (found.torn, found.damaged) == (length - ends[whole], 0)


def test_a_flipped_bit_harms_its_own_record_alone_and_the_file_is_kept(tmp_path):
    parts = [record(i).encode() for i in range(3)]
    for at in range(len(parts[1])):
        broken = bytearray(parts[1])
        broken[at] ^= 0x10
        found = decode(parts[0] + bytes(broken) + parts[2])
        assert found.records == [record(0), record(2)]
        assert found.damaged == len(parts[1])
    path = tmp_path / "a.spool"
    path.write_bytes(parts[0] + bytes(broken) + parts[2])
    claim = Claim.take(path)
    assert claim is not None
    claim.done()
    assert [left.name for left in tmp_path.iterdir()] == ["a.damaged"]


def test_a_body_that_looks_like_a_record_is_a_body():
    nested = Spooled("sales", "raw", CAME, record(7).encode() + MAGIC)
    assert decode(nested.encode() + record(8).encode()).records == [nested, record(8)]


async def test_a_full_spool_refuses_and_takes_again_when_there_is_room(tmp_path):
    size = len(record(1, 100).encode())
    async with running(tmp_path / "spool", 2 * size) as spool:
        await spool.append(record(1, 100))
        await spool.append(record(2, 100))
        with pytest.raises(OSError, match="full"):
            await spool.append(record(3, 100))
        assert await drained(spool) == [record(1, 100), record(2, 100)]
        await spool.append(record(4, 100))
        assert await drained(spool) == [record(4, 100)]


async def test_a_write_that_the_disk_breaks_off_leaves_only_what_was_acknowledged(tmp_path):
    async with running(tmp_path / "spool") as spool:
        await spool.append(record(1))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(record(1).encode()) + 30, hard))
        try:
            with pytest.raises(OSError, match="too large") as refused:
                await spool.append(record(2))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert refused.value.errno == errno.EFBIG
        await spool.append(record(3))
        assert await drained(spool) == [record(1), record(3)]


async def test_an_fsync_that_fails_is_no_acknowledgement(tmp_path, monkeypatch):
    async with running(tmp_path / "spool") as spool:
        await spool.append(record(1))

        def broken(_: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", broken)
            with pytest.raises(OSError, match="Input/output"):
                await spool.append(record(2))
        await spool.append(record(3))
        assert await drained(spool) == [record(1), record(3)]


async def test_the_file_of_a_living_process_is_left_to_it_and_that_of_a_killed_one_is_taken(tmp_path):
    folder = tmp_path / "spool"
    script = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from dialer.web.spool import Spool, Spooled
async def main():
    spool = Spool(Path(sys.argv[1]), 1 << 20)
    writing = asyncio.create_task(spool.batch.run())
    await spool.append(Spooled("sales", "raw", datetime.now(UTC), b"theirs"))
    print("kept", flush=True)
    await writing
asyncio.run(main())
"""
    other = subprocess.Popen(  # noqa: ASYNC220  # a handful of bytes
        [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout is not None
        assert await asyncio.to_thread(other.stdout.readline) == b"kept\n"
        async with running(folder) as spool:
            assert await spool.claim() is None
            assert not spool.empty(), "it is evidence all the same"
            other.send_signal(signal.SIGKILL)
            other.wait()
            assert [one.body for one in await drained(spool)] == [b"theirs"]


# The door over a database that goes away.


@pytest.fixture
async def placed(engine):
    await engine.contact(await engine.campaign())
    return await engine.place()


async def test_reports_are_acknowledged_while_postgres_is_away_and_stored_in_order_when_it_is_back(
    engine, far_engine, opening, relay, tools, sign, tmp_path
):
    await engine.contact(await engine.campaign())
    for _ in range(19):
        await engine.contact(await engine.pool.fetchval("select id from campaigns"))
    calls = [await engine.place() for _ in range(20)]
    async with opening(far_engine, spool=Spool(tmp_path / "spool", 1 << 20), patience=1) as door:
        await relay.cut()
        came = []
        for passed in calls:
            raw = tools.body(passed)
            assert await door.post(raw, sign(raw)) == (200, {"status": "spooled"})
            came.append(engine.clock.now())
            await engine.clock.advance(30)  # ten minutes in all
        raw = tools.body(calls[0])
        assert await door.post(raw, sign(raw)) == (200, {"status": "spooled"}), "a double"
        assert not door.receiver.empty()
        assert not await door.receiver.drain()
        assert await engine.pool.fetchval("select count(*) from reports") == 0
        await relay.listen()
        async with asyncio.timeout(DEADLINE):
            while not await door.receiver.drain():
                await asyncio.sleep(0.05)
        rows = await engine.pool.fetch(
            "select body, received_at, state from reports order by received_at, id"
        )
        assert [row["body"] for row in rows] == [tools.body(passed) for passed in calls]
        assert [row["received_at"] for row in rows] == came, "when it came, not when it was stored"
        assert {row["state"] for row in rows} == {"applied"}
        assert door.receiver.empty()
        assert await door.post(raw, sign(raw)) == (200, {"status": "duplicate"})
        await engine.balanced()


@pytest.fixture
async def far_engine(engine, relay, tools):
    """An engine whose database is behind the relay."""
    async with relay.pool() as pool:
        other = tools.Engine(pool, engine.clock)
        await other.start()
        engine.clock.witness = engine.beat
        yield other
        await asyncio.wait_for(other.stop(), 30)


async def test_a_commit_that_hangs_is_spooled_within_the_patience_and_counted_once(
    engine, placed, opening, tools, sign, tmp_path, conn
):
    raw = tools.body(placed)
    async with opening(engine, spool=Spool(tmp_path / "spool", 1 << 20), patience=0.3) as door:
        async with conn.transaction():
            await conn.execute("select 1 from attempts for update")
            assert await door.post(raw, sign(raw)) == (200, {"status": "spooled"})
        assert await door.receiver.drain()
        assert await engine.pool.fetchval("select count(*) from reports") == 1
        assert (await engine.get(placed))["state"] == "reported"
        await engine.balanced()


@pytest.mark.parametrize("why", ["full", "unwritable", "not a folder"])
async def test_503_when_neither_postgres_nor_the_disk_takes_it(
    engine, far_engine, placed, opening, relay, tools, sign, tmp_path, why
):
    folder = tmp_path / "spool"
    if why == "unwritable":
        # Root may write where modes forbid it; nobody may make a folder below a file.
        (tmp_path / "file").touch()
        folder = tmp_path / "file" / "spool"
    elif why == "not a folder":
        folder.touch()
    raw = tools.body(placed)
    limit = 100 if why == "full" else 1 << 20
    async with opening(far_engine, spool=Spool(folder, limit), patience=1) as door:
        await relay.cut()
        async with door.session.post(door.url, data=raw, headers=sign(raw)) as answer:
            assert (answer.status, await answer.json()) == (503, {"error": "try again"})
            assert int(answer.headers["Retry-After"]) > 0
        await relay.listen()
        async with asyncio.timeout(DEADLINE):
            while (said := await door.post(raw, sign(raw)))[0] == 503:
                await asyncio.sleep(0.05)
        assert said == (200, {"status": "applied"})


async def test_a_report_that_the_database_refuses_is_set_aside_and_tried_again_at_the_next_start(
    engine, placed, opening, tools, sign, tmp_path
):
    spool = Spool(tmp_path / "spool", 1 << 20)
    other = tools.body(None)
    async with opening(engine, spool=spool) as door:
        raw = tools.body(placed)
        await spool.append(Spooled("sales", "raw", engine.clock.now(), raw))
        await spool.append(Spooled("sales", "raw", engine.clock.now(), other))
        await engine.pool.execute("alter table ledger add constraint no check (false) not valid")
        assert await door.receiver.drain()
        assert [path.suffix for path in (tmp_path / "spool").iterdir()].count(".refused") >= 1
        await engine.pool.execute("alter table ledger drop constraint no")
        spool.restore()
        assert await door.receiver.drain()
        assert spool.empty()
        assert await engine.pool.fetchval("select count(*) from reports") == 2
        assert (await engine.get(placed))["state"] == "reported"


async def test_nobody_is_called_again_while_reports_wait_to_be_read(
    engine, far_engine, placed, opening, relay, tools, sign, tmp_path
):
    raw = tools.body(placed)
    async with opening(far_engine, spool=Spool(tmp_path / "spool", 1 << 20), patience=1) as door:
        rescuer = Rescuer(
            engine.pool, engine.clock, engine.definitions, engine.wake, engine.pulse, ready=door.receiver.empty
        )  # fmt: skip
        await relay.cut()
        assert (await door.post(raw, sign(raw)))[0] == 200
        await engine.clock.advance(timedelta(hours=3))
        assert await rescuer.sweep() == 0
        assert (await engine.get(placed))["state"] == "placed"
        await relay.listen()
        async with asyncio.timeout(DEADLINE):
            while not await door.receiver.drain():
                await asyncio.sleep(0.05)
        assert (await engine.get(placed))["state"] == "reported"
        assert await rescuer.sweep() == 0


async def test_nobody_is_called_before_a_wish_not_to_be_called_is_read(
    engine, far_engine, placed, opening, relay, tools, sign, tmp_path
):
    phone = placed.request.phone
    other = await engine.campaign("other", agent="care")
    await engine.contact(other, phone=phone)
    await engine.contact(other)
    raw = tools.body(placed, intent="do_not_call")
    async with opening(far_engine, spool=Spool(tmp_path / "spool", 1 << 20), patience=1) as door:
        engine.gate.ready = door.receiver.empty
        await relay.cut()
        assert (await door.post(raw, sign(raw)))[0] == 200
        await relay.listen()
        passage = await engine.open(tools.CARE)
        assert passage.passed == []
        assert passage.again_at is not None
        async with asyncio.timeout(DEADLINE):
            while not await door.receiver.drain():
                await asyncio.sleep(0.05)
        assert await engine.pool.fetchval("select count(*) from suppressions") == 1
        assert engine.gate.ready()
        called = [passed.request.phone for passed in (await engine.open(tools.CARE)).passed]
        assert len(called) == 1
        assert phone not in called


async def test_a_server_that_is_stopped_and_started_loses_no_report(scratch, tools, opening, sign, tmp_path):
    class Held:
        """The server lives only as long as this is open."""

        def __init__(self) -> None:
            self.stack = contextlib.AsyncExitStack()

        async def start(self) -> str:
            return await self.stack.enter_async_context(Embedded(scratch / "spooled"))

        async def stop(self) -> None:
            await self.stack.aclose()

    held = Held()
    dsn = await held.start()
    conn = await asyncpg.connect(dsn)
    await migrate(conn, shipped.folder("sql") / "migrations")
    await conn.close()
    pool = await create_pool(dsn, min_size=1, max_size=4)
    engine = tools.Engine(pool, tools.FakeClock(CAME))
    await engine.start()
    campaign = await engine.campaign()
    for _ in range(10):
        await engine.contact(campaign)
    calls = [await engine.place() for _ in range(10)]
    async with opening(engine, spool=Spool(tmp_path / "spool", 1 << 20), patience=2) as door:
        await held.stop()
        answers = await asyncio.gather(*(door.post(raw, sign(raw)) for raw in map(tools.body, calls)))
        assert {said["status"] for status, said in answers if status == 200} == {"spooled"}
        assert len(answers) == 10
        assert await held.start() == dsn
        async with asyncio.timeout(DEADLINE):
            while not await door.receiver.drain():
                await asyncio.sleep(0.1)
        assert await pool.fetchval("select count(*) from attempts where state = 'reported'") == 10
        await engine.balanced()
    await engine.stop()
    await pool.close()
    await held.stop()
