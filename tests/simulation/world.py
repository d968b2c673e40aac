"""The world of one schedule: a clock, a network, a provider, one or two daemons; one step at a time.

Whatever the engine does is compared at once with what the provider knows: ``Broken`` is raised where they differ.
"""

import hashlib
import heapq
import itertools
import random
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import asyncpg
from checks import faults, standing
from daemon import LINES, Clock, Cut, Daemon, Database
from provider import LONGEST, Call, Calldock, Delivery
from schedule import Step

from dialer.calldock.messages import (
    Answer,
    NotSent,
    Placed,
    PlacedUnidentified,
    ServerError,
    Throttled,
    Unauthorized,
    Unconfirmed,
)
from dialer.calldock.report import parse
from dialer.campaign_file import CampaignFile
from dialer.database.store import agents, attempts, campaigns, contacts, suppressions
from dialer.database.store.suppressions import Why
from dialer.database.transaction import AWAY
from dialer.domain.attempt import LONGEST_CALL
from dialer.domain.campaign import Campaign, CampaignState
from dialer.domain.errors import ConfigError
from dialer.domain.ids import new_id, random_bytes
from dialer.engine import steer
from dialer.engine.apply import Incoming
from dialer.engine.passage import InDoubtError, Passed
from dialer.engine.verdict import Outcome

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
TIMEOUT = timedelta(seconds=30)
"""After so long the client gives an answer up."""
SEND_WITHIN = timedelta(seconds=2)
SOONEST_HORIZON = timedelta(hours=1)
SOONEST_HOLD = timedelta(minutes=10)
SOONEST_500 = timedelta(minutes=2)
MOST_ATTEMPTS = 3
TRIES_500 = 4
CAP = 2
ZONES = ("America/New_York", "Europe/Berlin", "Asia/Tokyo", "America/Los_Angeles")
PHONES = tuple(f"+1415555{number:04d}" for number in range(22))
AGENT_OF = {"one": "sales", "two": "care", "three": "sales"}
WAITS = [timedelta(seconds=s) for s in (0.3, 1, 5, 5, 40, 65, 180, 600, 1_200, 1_900, 4_200, 18_000)]
REDELIVERIES = [timedelta(seconds=s) for s in (10, 60, 300, 1_800, 7_200, 21_600, 86_400)]
LADDER = ["10m", "2h", "1d"]


class Broken(AssertionError):
    """A promise was broken."""


@dataclass
class Request:
    """One passage of the gate, as the world saw it. ``heard``: the answer that was recorded."""

    passed: Passed
    gated_at: datetime
    heard: object = None
    call: Call | None = None
    sent: bool = False


class World:
    def __init__(self, seed: int, conn: asyncpg.Connection) -> None:
        self.seed = seed
        self.conn = conn
        self.clock = Clock(START)
        self.dice = random.Random(f"world {seed}")
        self.calldock = Calldock(seed)
        self.database = Database(conn)
        self.two = self.dice.random() < 0.6
        self.daemons: list[Daemon] = []
        self.silent = False
        self.trace: list[str] = []
        self._agenda: list[tuple[datetime, int, tuple]] = []
        self._order = itertools.count()
        self.requests: dict[str, list[Request]] = {}
        self.by_attempt: dict[str, Request] = {}
        self.stored: dict[tuple[str, str], Decimal] = {}
        self.suppressed: set[tuple[str | None, str]] = set()
        self.paused: set[str] = set()
        self.slots: dict[str, list[datetime]] = {}

    async def begin(self) -> None:
        names = await self.conn.fetch("select tablename from pg_tables where schemaname = 'public'")
        emptied = ", ".join(
            sorted(row[0] for row in names if not any(w in row[0] for w in ("migration", "schema_version")))
        )
        await self.conn.execute(f"truncate {emptied} restart identity cascade")
        random_bytes.set(self.dice.randbytes)
        await agents.ensure(self.conn, list(LINES), self.clock.now())
        for name in AGENT_OF:
            await steer.apply(self.conn, definition(name, 0), actor="world", now=self.clock.now())
            await steer.start(self.conn, name, actor="world", now=self.clock.now())
        self.ids = {row.name: row.id for row in await campaigns.every(self.conn)}
        self.names = {id_: name for name, id_ in self.ids.items()}
        for _ in range(1 + self.two):
            await self._enter()

    # One step.

    async def step(self, step: Step) -> None:
        dice = random.Random(step.dice)
        self.say(f"-- {step.verb}")
        await getattr(self, f"do_{step.verb.replace('import', 'enrol')}")(dice)

    async def check(self) -> None:
        if found := await faults(self.conn):
            raise Broken("; ".join(found[:3]))
        booked = await self.conn.fetchval("select coalesce(sum(credits), 0) from ledger")
        if booked != (said := sum(self.stored.values(), Decimal(0))):
            raise Broken(f"the ledger has {booked}, the reports said {said}")
        wrong = await self.conn.fetch(
            "select id, report_call_id from attempts where report_call_id is not null"
        )
        true = {call.id: call.attempt for call in self.calldock.calls}
        for row in wrong:
            if true.get(row[1]) != str(row[0]):
                raise Broken(f"the report of {row[1]} was given to another attempt")

    async def end(self) -> str:
        """The hash of all that happened."""
        await self.check()
        self.trace += await standing(self.conn)
        return hashlib.blake2b("\n".join(self.trace).encode(), digest_size=16).hexdigest()

    def say(self, what: str) -> None:
        self.trace.append(f"{self.clock.now():%d %H:%M:%S.%f} {what}")

    def _pick(self, dice: random.Random) -> Daemon | None:
        works = [daemon for daemon in self.daemons if daemon.works]
        return dice.choice(works) if works else None

    async def do_gate(self, dice: random.Random) -> None:
        agent, most = dice.choice(list(LINES)), dice.choice([1, 3, 1000])
        await self.gate(agent, dice, most, cut={0: "before", 1: "after"}.get(dice.randrange(50)))

    async def gate(self, agent: str, dice: random.Random, most: int = 1000, cut: str | None = None) -> None:
        daemon = self._pick(dice)
        if daemon is None:
            return
        self.database.cut = cut
        now = self.clock.now()
        try:
            passage = await daemon.gate.open(LINES[agent], most=most)
        except AWAY as error:
            self.say(f"gate of {agent}: {type(error).__name__}")
            return
        except InDoubtError as doubt:
            await self._disown(daemon, doubt.passed, now)
            return
        finally:
            self.database.cut = None
        for passed in passage.passed:
            await self._passed(passed, now)
            daemon.memory.in_flight[passed.attempt_id] = passed
            late = timedelta(seconds=0 if self.calldock.calm else dice.choice([0, 0, 0, 0, 0.4, 1.9, 3]))
            self._later(max(passed.slot_at, now) + late, ("send", daemon, passed, now))
        if passage.passed:
            await self._limits(agent)

    async def _disown(self, daemon: Daemon, doubtful: list[Passed], now: datetime) -> None:
        """Nobody knows whether these were committed: they are not sent, and that is what is written."""
        for passed in doubtful:
            self.say(f"in doubt {passed.attempt_id}")
            self.by_attempt[str(passed.attempt_id)] = Request(passed, now)
            daemon.memory.answers.append((passed, Answer(NotSent("in doubt", late=True), None, 0.0)))

    async def do_advance(self, dice: random.Random) -> None:
        await self.advance(dice.choice(WAITS) * dice.choice([1, 1, 1.5]))

    async def do_sweep(self, dice: random.Random) -> None:
        if daemon := self._pick(dice):
            with suppress(*AWAY):
                self.say(f"rescued {await daemon.rescuer.sweep()}")

    async def do_settle(self, dice: random.Random) -> None:
        if daemon := self._pick(dice):
            await self._settle(daemon, cut={0: "before", 1: "after"}.get(dice.randrange(40)))

    async def do_replay(self, dice: random.Random) -> None:
        if daemon := self._pick(dice):
            with suppress(*AWAY):
                self.say(f"replayed {await daemon.applier.replay()}")

    async def do_expire(self, dice: random.Random) -> None:
        if daemon := self._pick(dice):
            with suppress(*AWAY):
                self.say(f"expired {await daemon.rescuer.expire()}")

    async def do_finish(self, dice: random.Random) -> None:
        if self._pick(dice) and not self.database.away:
            async with self.conn.transaction():
                self.say(f"finished {sorted(await steer.finish(self.conn, self.clock.now()))}")

    async def do_enrol(self, dice: random.Random) -> None:
        name, now = dice.choice(list(AGENT_OF)), self.clock.now()
        phones = dice.sample(PHONES, dice.randint(1, 5))
        expires_at = now + timedelta(hours=60) if dice.random() < 0.1 else None
        if self.database.away:
            return
        async with self.conn.transaction():
            for phone in phones:
                await contacts.insert(
                    self.conn, contact_id=new_id(now), campaign_id=self.ids[name], key=phone, phone=phone,
                    name="Ada", email=None, metadata={"person": f"{name}/{phone}"},
                    zones=(ZONES[int(phone[-2:]) % len(ZONES)],), region="US", asked_at=now,
                    expires_at=expires_at, now=now,
                )  # fmt: skip
            row = await campaigns.find(self.conn, name)
            if row is not None and row.state is CampaignState.FINISHED:
                await steer.start(self.conn, name, actor="world", now=now)
        self.say(f"enrolled {len(phones)} in {name}")

    async def do_crash(self, dice: random.Random) -> None:
        alive = [daemon for daemon in self.daemons if daemon.alive]
        if alive:
            daemon = dice.choice(alive)
            daemon.alive = False
            self.daemons.remove(daemon)
            self.silent = self.silent or not self.daemons

    async def do_restart(self, dice: random.Random) -> None:
        if len(self.daemons) < 1 + self.two and not self.database.away:
            await self._enter()

    async def do_freeze(self, dice: random.Random) -> None:
        if daemon := self._pick(dice):
            daemon.frozen = True

    async def do_thaw(self, dice: random.Random) -> None:
        for daemon in self.daemons:
            if daemon.frozen:
                daemon.frozen = False
                held, daemon.memory.held_back = daemon.memory.held_back, []
                for event in held:
                    await self._happen(event)

    async def do_away(self, dice: random.Random) -> None:
        self.database.away = True

    async def do_back(self, dice: random.Random) -> None:
        self.database.away = False

    async def do_suppress(self, dice: random.Random) -> None:
        phone, name = dice.choice(PHONES), dice.choice([None, *AGENT_OF])
        if self.database.away:
            return
        await suppressions.add(
            self.conn,
            [phone],
            Why("person", "asked by letter", "world", self.ids[name] if name else None),
            self.clock.now(),
        )
        self.suppressed.add((name, phone))

    async def do_pause(self, dice: random.Random) -> None:
        name = dice.choice(list(AGENT_OF))
        if not self.database.away:
            with suppress(ConfigError):
                async with self.conn.transaction():
                    await steer.pause(self.conn, name, actor="world", now=self.clock.now())
                self.paused.add(name)

    async def do_resume(self, dice: random.Random) -> None:
        if self.database.away:
            return
        for name in AGENT_OF:
            with suppress(ConfigError):
                async with self.conn.transaction():
                    await steer.resume(self.conn, name, actor="world", now=self.clock.now())
            self.paused.discard(name)
        for agent in LINES:
            await agents.resume(self.conn, agent, self.clock.now())

    async def do_version(self, dice: random.Random) -> None:
        if not self.database.away:
            name, variant = dice.choice(list(AGENT_OF)), dice.randint(0, 2)
            async with self.conn.transaction():
                await steer.apply(self.conn, definition(name, variant), actor="world", now=self.clock.now())

    async def do_foreign(self, dice: random.Random) -> None:
        delivery = self.calldock.foreign(dice, dice.choice(list(LINES)), self.clock.now())
        self._later(delivery.due, ("report", delivery))

    # Time, and what happens in it.

    async def advance(self, wait: timedelta) -> None:
        """Until then, what is due happens in its order; a daemon that works beats all the while."""
        end = self.clock.now() + wait
        await self._heard()
        while self._agenda and self._agenda[0][0] <= end:
            due, _, event = heapq.heappop(self._agenda)
            self.clock.instant = max(self.clock.instant, due)
            await self._happen(event)
        self.clock.instant = end
        works = [daemon for daemon in self.daemons if daemon.works]
        if self.database.away or not works:
            self.silent = True
            return
        for daemon in works:
            await agents.beat(self.conn, daemon.id, "simulation", 1, end)

    def next_event(self) -> datetime | None:
        return self._agenda[0][0] if self._agenda else None

    async def _heard(self) -> None:
        """Whoever is there again finds the silence before anything else."""
        works = [daemon for daemon in self.daemons if daemon.works]
        if self.silent and works and not self.database.away:
            await works[0].pulse.beat()
            self.silent = False

    def _later(self, due: datetime, event: tuple) -> None:
        heapq.heappush(self._agenda, (due, next(self._order), event))

    async def _happen(self, event: tuple) -> None:
        match event:
            case ("send", daemon, passed, gated_at):
                if self._there(daemon, event):
                    await self._send(daemon, passed, gated_at)
            case ("arrive", daemon, passed):
                self._arrive(daemon, passed)
            case ("answer", daemon, passed, answer):
                if self._there(daemon, event) and daemon.memory.in_flight.pop(passed.attempt_id, None):
                    daemon.memory.answers.append((passed, answer))
                    # Most answers are written at once; the others wait for a step, or are lost in a crash.
                    if not self.dice.random() < 0.15:
                        await self._settle(daemon)
            case ("report", delivery):
                await self._deliver(delivery)

    def _there(self, daemon: Daemon, event: tuple) -> bool:
        if daemon.alive and daemon.frozen:
            daemon.memory.held_back.append(event)
        return daemon.works

    async def _enter(self) -> None:
        daemon = Daemon(self.database, self.clock, self.dice)
        self.daemons.append(daemon)
        await daemon.pulse.beat()
        self.silent = False

    async def _send(self, daemon: Daemon, passed: Passed, gated_at: datetime) -> None:
        now = self.clock.now()
        if now > gated_at + SEND_WITHIN:
            self._later(now, ("answer", daemon, passed, Answer(NotSent("late", late=True), None, 0.0)))
            return
        roll = 1.0 if self.calldock.calm else self.dice.random()
        if roll < 0.03:
            self._later(now, ("answer", daemon, passed, Answer(NotSent("refused"), None, 0.0)))
            return
        request = self.by_attempt[str(passed.attempt_id)]
        if request.sent:
            raise Broken(f"attempt {passed.attempt_id} was sent twice")
        request.sent = True
        if self.names[passed.campaign_id] == "one":
            zone = ZoneInfo(ZONES[int(passed.request.phone[-2:]) % len(ZONES)])
            if not 9 <= now.astimezone(zone).hour < 20:
                raise Broken(f"{passed.request.phone} was called at {now.astimezone(zone)}")
        self._later(now + TIMEOUT, ("answer", daemon, passed, Answer(Unconfirmed("timeout"), None, 30.0)))
        if roll > 0.06 or self.calldock.calm:
            self._later(now + timedelta(milliseconds=20), ("arrive", daemon, passed))

    def _arrive(self, daemon: Daemon, passed: Passed) -> None:
        now, request = self.clock.now(), self.by_attempt[str(passed.attempt_id)]
        reply = self.calldock.arrive(passed.request, passed.agent, now)
        self.say(f"asked for {passed.request.metadata['person']}: {reply.answer and reply.answer.result}")
        request.call = reply.call
        if reply.answer is not None:
            self._later(now + reply.after, ("answer", daemon, passed, reply.answer))
        for delivery in reply.deliveries:
            self._later(delivery.due, ("report", delivery))

    async def _settle(self, daemon: Daemon, cut: str | None = None) -> None:
        if self.database.away or not daemon.memory.answers:
            return
        answers, daemon.memory.answers = daemon.memory.answers, []
        self.database.cut = cut
        now = self.clock.now()
        states = await daemon.settler._write([Outcome(passed, answer, now) for passed, answer in answers])
        self.database.cut = None
        for (passed, answer), state in zip(answers, states, strict=True):
            self.by_attempt[str(passed.attempt_id)].heard = answer.result
            self.say(f"settled {passed.attempt_id} {state}")

    async def _deliver(self, delivery: Delivery) -> None:
        daemon = self._pick(self.dice)
        roll = 1.0 if self.calldock.calm else self.dice.random()
        if daemon is None or self.database.away:
            self._redeliver(delivery)
            return
        report = parse(delivery.body)
        incoming = Incoming(delivery.agent, report, delivery.body, "raw")
        self.database.cut = "before" if roll < 0.02 else "after" if roll < 0.04 else None
        stored = self.database.cut != "before"
        try:
            receipts = await daemon.applier._receive([incoming] * (2 if 0.04 <= roll < 0.08 else 1))
            self.say(f"report {delivery.call} {receipts}")
        except Cut:
            self._redeliver(delivery)
        finally:
            self.database.cut = None
        if stored:
            self.stored.setdefault((delivery.agent, delivery.call), delivery.credits)
            if delivery.refuses:
                self.suppressed.add((None, delivery.phone))
        if 0.08 <= roll < 0.1:
            # Committed, and the daemon died before its 200 was read.
            self._redeliver(delivery)

    def _redeliver(self, delivery: Delivery) -> None:
        forever = self.calldock.calm or self.calldock.redelivers
        if not forever:
            return
        wait = REDELIVERIES[min(delivery.tries, len(REDELIVERIES) - 1)]
        self._later(self.clock.now() + wait, ("report", replace(delivery, tries=delivery.tries + 1)))

    # What the gate must never let pass.

    async def _passed(self, passed: Passed, now: datetime) -> None:
        name, phone = self.names[passed.campaign_id], passed.request.phone
        person = str(passed.request.metadata["person"])
        self.say(f"passed {person} {passed.number} {passed.marks}")
        if name in self.paused:
            raise Broken(f"{person} passed the gate of a paused campaign")
        if {(None, phone), (name, phone)} & self.suppressed:
            raise Broken(f"{person} passed the gate though suppressed")
        slots = self.slots.setdefault(passed.agent, [])
        interval = timedelta(seconds=1) / float(LINES[passed.agent].calls_per_second)
        if slots and passed.slot_at < slots[-1] + interval - timedelta(microseconds=2):
            raise Broken(f"{passed.agent} called twice within {passed.slot_at - slots[-1]}")
        slots.append(passed.slot_at)
        earlier = self.requests.setdefault(person, [])
        self._not_twice(earlier, passed, now)
        self._not_too_often(earlier, passed, now)
        request = Request(passed, now)
        earlier.append(request)
        self.by_attempt[str(passed.attempt_id)] = request

    def _not_twice(self, earlier: list[Request], passed: Passed, now: datetime) -> None:
        rang = [request for request in earlier if request.call is not None]
        if not rang:
            return
        last = rang[-1]
        if (passed.agent, last.call.id) in self.stored:
            return
        if passed.campaign.provider.on_unknown == "strict" and not isinstance(
            last.heard, Placed | PlacedUnidentified
        ):
            raise Broken(f"{last.call.person} is called again though strict")
        if isinstance(last.heard, Placed | PlacedUnidentified):
            if not passed.marks and now < last.gated_at + SOONEST_HORIZON:
                raise Broken(f"{last.call.person} is called again before the report horizon")
        elif not passed.marks:
            raise Broken(f"{last.call.person} is called again after {last.heard}, and it is not marked")
        wait = SOONEST_500 if isinstance(last.heard, ServerError) else SOONEST_HOLD
        if now < last.gated_at + wait:
            raise Broken(f"{last.call.person} is called again before the wait for evidence")
        if not isinstance(last.heard, ServerError) and now < last.call.ended_at:
            raise Broken(f"{last.call.person} is called while on the phone")

    def _not_too_often(self, earlier: list[Request], passed: Passed, now: datetime) -> None:
        free = (NotSent, Throttled, Unauthorized, ServerError)
        counted = [r for r in earlier if not isinstance(r.heard, free) and r.heard is not None]
        if len(counted) >= MOST_ATTEMPTS:
            raise Broken(f"attempt {len(counted) + 1} of {MOST_ATTEMPTS}")
        errors = list(itertools.takewhile(lambda r: isinstance(r.heard, ServerError), reversed(earlier)))
        if len(errors) > TRIES_500 + sum(
            (r.passed.agent, r.call.id) in self.stored for r in errors if r.call
        ):
            raise Broken(f"try {len(errors) + 1} after 500")
        if self.names[passed.campaign_id] == "one":
            zone = ZoneInfo(ZONES[int(passed.request.phone[-2:]) % len(ZONES)])
            today = now.astimezone(zone).date()
            rung = [
                request
                for requests in self.requests.values()
                for request in requests
                if request.call is not None
                and request.call.phone == passed.request.phone
                and request.gated_at.astimezone(zone).date() == today
            ]
            if len(rung) >= CAP:
                raise Broken(f"{passed.request.phone} is called {len(rung) + 1} times a day")

    async def _limits(self, agent: str) -> None:
        live = await self.conn.fetchval(
            "select count(*) from attempts where agent = $1 and state in ('dialing', 'placed', 'unknown')"
            " and (resolve_at is not null or began_at > $2)",
            agent,
            self.clock.now() - LONGEST_CALL,
        )
        if live > (most := LINES[agent].max_live_calls or live):
            raise Broken(f"{live} live calls of {most}")
        for name, owner in AGENT_OF.items():
            if owner != agent:
                continue
            row = await campaigns.find(self.conn, name)
            used = await self.conn.fetchrow(
                """select coalesce((select spent from spend where campaign_id = $1), 0) as spent,
                          coalesce((select sum(reserved) from attempts where campaign_id = $1), 0) as reserved,
                          (select count(*) from attempts where campaign_id = $1
                             and state in ('dialing', 'placed', 'unknown')
                             and began_at = $2) as began""",
                self.ids[name],
                self.clock.now(),
            )
            limit = row.definition.budget.credits
            if used["began"] and limit is not None and used["spent"] + used["reserved"] > limit:
                raise Broken(f"{name} has spent {used['spent']} and reserved {used['reserved']} of {limit}")

    # What is left to be done.

    async def unfinished(self) -> list[str]:
        """What has not reached an end: contacts that are open and wait for nobody.

        Under ``strict`` a person decides about an unknown attempt; until then its number stays locked for all.
        """
        rows = await self.conn.fetch(
            """select c.metadata->>'person' as person, c.state, c.due_at, c.reason, a.state as attempt, a.resolve_at
               from contacts c
               left join attempts a on a.contact_id = c.id and a.state in ('dialing', 'placed', 'unknown')
               where c.state <> 'closed'
                 and not exists (select 1 from attempts s where s.phone = c.phone
                                 and s.state = 'unknown' and s.resolve_at is null)
               order by c.id"""
        )
        return [" ".join(str(value) for value in row) for row in rows]

    async def next_due(self) -> datetime | None:
        """When anything is due next, by the database or the agenda."""
        now = self.clock.now()
        waits = await self.conn.fetchrow(
            """select (select min(due_at) from contacts where state = 'waiting' and due_at > $1
                         and due_at <> 'infinity' and reason <> 'the number has a live call'),
                      (select min(replay_at) from reports where state = 'unmatched' and replay_at > $1),
                      (select min(blocked_until) from agents where blocked_until > $1)""",
            now,
        )
        waits = [*waits, await attempts.next_rescue(self.conn), self.next_event()]
        return min((at for at in waits if at is not None), default=None)


def definition(name: str, variant: int) -> CampaignFile:
    """One of three versions of a campaign: they differ in waits and budget, never in what forbids a call."""
    strict = {"on_500": "strict", "on_unknown": "strict"} if name == "three" else {}
    hold = {"on_500": "hold"} if name == "two" else {}
    sections = {
        "window": {"hours": ["09:00-20:00"]} if name == "one" else {"always": True},
        "caps": {"per_number_per_day": CAP} if name == "one" else {},
        "cadence": {
            "max_attempts": MOST_ATTEMPTS, "no_answer": LADDER, "busy": LADDER, "voicemail": LADDER,
            "failed": LADDER[variant:], "no_report": LADDER[1:],
        },
        "provider": {
            "unknown_hold": ["30m", "10m", "2h"][variant],
            "report_horizon": ["2h", "1h", "3h"][variant],
            **strict, **hold,
        },
        "budget": {"credits": [20, 30, 1000][variant], "estimate": "0.5"},
        "pacing": {"calls_per_minute": 30} if name == "one" else {},
    }  # fmt: skip
    campaign = Campaign.model_validate({"name": name, "agent": AGENT_OF[name], **sections})
    return CampaignFile(campaign, f"# {name} {variant}", f"checksum {variant}")


assert timedelta(minutes=10) > LONGEST
