"""Run schedules, and shrink those that fail.

Safety: faults to the end, every promise compared as it goes. Liveness: then calm, and everything must have its end.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
from daemon import LINES
from schedule import Step, generate
from structlog.testing import capture_logs
from world import START, Broken, World, definition

from dialer.engine import steer

CHECK_EVERY = 12
LENGTHS = {True: 70, False: 190}
CALM_DAYS = 25
CALM_ROUNDS = 4_000


@dataclass(frozen=True, slots=True)
class Result:
    """``fault`` is None when every promise held."""

    seed: int
    hash: str
    fault: str | None
    calls: int
    days: float
    trace: list[str]


async def run(
    conn: asyncpg.Connection, seed: int, steps: list[Step] | None = None, *, live: bool | None = None
) -> Result:
    """One schedule. Every third seed is of liveness, unless ``live`` says."""
    world = World(seed, conn)
    live = seed % 3 == 0 if live is None else live
    fault = None
    if steps is None:
        steps = generate(seed, LENGTHS[live])
    with capture_logs():
        try:
            await world.begin()
            for number, step in enumerate(steps):
                await world.step(step)
                if number % CHECK_EVERY == 0:
                    await world.check()
            if live:
                await calm(world)
            digest = await world.end()
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
            digest = hashlib.blake2b("\n".join(world.trace).encode(), digest_size=16).hexdigest()
    days = (world.clock.now() - START) / timedelta(days=1)
    return Result(seed, digest, fault, len(world.calldock.calls), days, world.trace)


async def calm(world: World) -> None:
    """Faults stop: everything must reach an end within ``CALM_DAYS``."""
    world.calldock.calm = True
    world.database.away = False
    await world.do_thaw(world.dice)
    while len(world.daemons) < 1 + world.two:
        await world.do_restart(world.dice)
    now = world.clock.now()
    for name in world.ids:
        async with world.conn.transaction():
            await steer.apply(world.conn, definition(name, 2), actor="world", now=now)
    end = now + timedelta(days=CALM_DAYS)
    for number in range(CALM_ROUNDS):
        if number % 10 == 0:
            await world.do_resume(world.dice)
            await world.do_expire(world.dice)
        for daemon in world.daemons:
            await world._settle(daemon)
        await world.do_sweep(world.dice)
        await world.do_replay(world.dice)
        for agent in LINES:
            await world.gate(agent, world.dice)
        open_ = await world.unfinished()
        if not open_ and world.next_event() is None:
            await world.do_finish(world.dice)
            return
        due = await world.next_due()
        now = world.clock.now()
        if now > end:
            raise Broken(f"after {CALM_DAYS} calm days {len(open_)} are open: {open_[:3]}")
        await world.advance(max((due or now) - now, timedelta(seconds=1)))
    raise Broken(f"after {CALM_ROUNDS} calm rounds {len(open_)} are open: {open_[:3]}")


async def shrink(
    steps: list[Step], fails: Callable[[list[Step]], Awaitable[bool]], most: int = 400
) -> list[Step]:
    """The shortest schedule found that still fails: leave out ever smaller parts (delta debugging)."""
    size, tries = max(1, len(steps) // 2), 0
    while size and tries < most:
        at, shorter = 0, False
        while at < len(steps) and tries < most:
            tried = steps[:at] + steps[at + size :]
            tries += 1
            if await fails(tried):
                steps, shorter = tried, True
            else:
                at += size
        if not shorter or size > 1:
            size = size // 2 if size > 1 else 0 if not shorter else 1
    return steps


async def explain(conn: asyncpg.Connection, result: Result) -> str:
    """A failing seed, its shortest schedule, and what happened in it."""
    live = result.seed % 3 == 0
    kind = (result.fault or "").split(":")[0]

    async def fails(steps: list[Step]) -> bool:
        again = await run(conn, result.seed, steps, live=live)
        return again.fault is not None and again.fault.split(":")[0] == kind

    steps = await shrink(generate(result.seed, LENGTHS[live]), fails)
    last = await run(conn, result.seed, steps, live=live)
    told = [f"seed {result.seed}: {result.fault}", f"shrunk to {len(steps)} steps: {last.fault}", *last.trace]
    return "\n".join(told)
