"""One opening of the gate, within its transaction: what may pass is counted, claimed, screened and begun."""

from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Final, NamedTuple, assert_never
from uuid import UUID

import structlog

from dialer import crash
from dialer.calldock.messages import CallRequest
from dialer.calldock.token import make_token
from dialer.database.queries import Connection
from dialer.database.store import agents, attempts, campaigns, contacts
from dialer.domain.budget import Purse, day_of
from dialer.domain.campaign import Campaign
from dialer.domain.caps import reach
from dialer.domain.contact import AWAITS_START, Contact
from dialer.domain.ids import new_ids
from dialer.domain.pacing import Bucket
from dialer.domain.screening import Allowed, Case, Deferred, Refused, Undiallable, screen
from dialer.engine import purse
from dialer.engine.definitions import Definitions
from dialer.engine.passage import AHEAD, MOST, REOPEN, Line, Passed
from dialer.engine.turn import Lane, Order

ANSWER_WITHIN: Final = timedelta(seconds=60)
"""A ``dialing`` attempt without an answer for so long has lost its daemon: longer than ``SEND_WITHIN`` and the
client's time limit together."""

LOOK: Final = 50
"""Contacts that are looked at for one free slot while rules object: those outside their window shall not come one by
one."""

LANES: Final = 50
"""Campaigns of either lane in one passage: the others' turn comes in the next."""

TOKEN_KEY: Final = "dialer_attempt"  # noqa: S105  # a key's name
"""Where our token stands in the request's metadata, in case the provider gives it back."""


log = structlog.get_logger()


class Slot(NamedTuple):
    """A contact that may be called, and when its tokens allow it."""

    lane: Lane
    contact: Contact
    at: datetime


class Opening:
    """One passage, within its transaction. ``most``: tokens, then also free lines, of the agent."""

    def __init__(
        self, conn: Connection, line: Line, now: datetime, deadline: float, bucket: Bucket, most: int
    ) -> None:
        self._conn = conn
        self._line = line
        self._now = self._earliest = now
        self._deadline = deadline
        self._bucket = bucket
        self._most = most
        self._lanes: dict[UUID, Lane] = {}
        self._full = False
        self._dues: list[datetime] = []
        self._purses: list[Purse] = []
        self._normal = MOST
        self._deferred: list[contacts.Defer] = []
        self._dropped: list[contacts.Drop] = []

    async def count(self) -> None:
        """What is left under the ceilings of the agent and of all."""
        ceilings = self._line.ceilings
        if ceilings is not None and ceilings.overall is not None:
            # The gates of two agents would lend the same credits twice.
            await agents.lock_overall(self._conn)
        self._purses = await purse.shared(self._conn, self._line.name, ceilings, self._now)

    async def survey(self, definitions: Definitions, only: UUID | None) -> None:
        """The campaigns that may call now, each with how many calls its own limits allow."""
        surveyed = await campaigns.survey(self._conn, self._line.name, self._now)
        active = [row for row in surveyed if only in (None, row.id)]
        known = await definitions.of(self._conn, ((row.id, row.version) for row in active))
        if surveyed and self._line.max_live_calls is not None:
            self._most = max(0, min(self._most, self._line.max_live_calls - surveyed[0].agent_live))
        self._normal = self._kept_free([(known[row.id], row) for row in active], surveyed)
        own = await purse.own(self._conn, [(known[row.id], row) for row in active], self._now)
        for row in active:
            campaign, bucket = known[row.id], None
            price = purse.price(campaign, row)
            quota = min(self._most, room(campaign, row))
            quota = min(quota, await self._afford(campaign, row, price, own[row.id]), MOST if row.due else 0)
            if campaign.pacing.lane != "speed":
                quota = min(quota, self._normal)
            if campaign.pacing.calls_per_minute is not None:
                bucket = Bucket.per_minute(campaign.pacing.calls_per_minute, row.next_at)
                quota = min(quota, bucket.tokens(self._now, self._now + AHEAD))
            self._lanes[row.id] = Lane(row.id, row.version, campaign, max(0, quota), bucket, price)
            if row.next_due is not None:
                self._dues.append(row.next_due)

    def _kept_free(
        self, active: Sequence[tuple[Campaign, campaigns.Active]], surveyed: Sequence[campaigns.Active]
    ) -> int:
        """How many calls the normal lane may begin, so that lines stay free for the speed lane, if there is one."""
        most = self._line.max_live_calls
        speed = sum(row.lines for campaign, row in active if campaign.pacing.lane == "speed")
        if most is None or all(campaign.pacing.lane != "speed" for campaign, _ in active):
            return MOST
        kept = int((most * self._line.speed_lane).to_integral_value(ROUND_CEILING))
        return max(0, most - kept - (surveyed[0].agent_live - speed))

    async def _afford(
        self, campaign: Campaign, row: campaigns.Active, price: Decimal, own: list[purse.Used]
    ) -> int:
        """How many calls every purse pays; what holds or nearly holds the campaign is told, once."""
        for used in own:
            await self._warn(campaign, row, used)
        purses = [*(used.purse for used in own), *self._purses]
        empty = [each for each in purses if not each.calls(price)]
        ends = [each.until for each in empty if each.until is not None]
        until = max(ends) if empty and len(ends) == len(empty) else None
        held = f"budget: {', '.join(each.name for each in empty)}" if empty else ""
        if (held, until) != (row.held, row.held_until):
            await campaigns.hold(self._conn, row.id, held, until, now=self._now)
        if until is not None:
            self._dues.append(until)
        return min((each.calls(price) for each in purses), default=MOST)

    async def _warn(self, campaign: Campaign, row: campaigns.Active, used: purse.Used) -> None:
        if used.spent < used.limit * campaign.budget.warn_at:
            return
        since, _ = day_of(campaign.budget.timezone, self._now)
        if row.warned_at and row.warned_at >= since:
            return
        reason = f"warning: {used.spent:f} of {used.limit:f}, {used.purse.name}"
        if await campaigns.warn(self._conn, row.id, reason, since, self._now):
            log.warning("budget nearly spent", campaign=str(row.id), reason=reason)

    async def claim(self, order: Order) -> dict[UUID, deque[contacts.Claimed]]:
        """Lock due contacts of the campaigns whose turn it is; while rules object, some more.

        Each as many as its turns may come to: a thousand campaigns must not lock a thousand backlogs for one free slot.
        At one token a passage, the turn must go on between passages: ``order`` remembers it.
        """
        wanting = [lane for lane in self._lanes.values() if lane.quota]
        order.begin(wanting)
        kinds = [
            [lane for lane in wanting if lane.campaign.pacing.lane == kind] for kind in ("speed", "normal")
        ]
        turns = [lane for kind in kinds for lane in sorted(kind, key=order.of)[:LANES]]
        steps, least = self._most, 0
        if order.objected:
            steps, least = max(2 * self._most, LOOK), -(-LOOK // max(1, len(turns)))
        wanted = order.ahead(turns, steps)
        quotas = [(lane.id, most) for lane in turns if (most := max(wanted[lane.id], least))]
        due: dict[UUID, deque[contacts.Claimed]] = {id_: deque() for id_, _ in quotas}
        if quotas:
            reaches = [reach(self._lanes[id_].campaign) for id_, _ in quotas]
            since = self._now - max(each.back for each in reaches)
            calls = max(each.most for each in reaches)
            for claimed in await contacts.claim(self._conn, quotas, now=self._now, since=since, calls=calls):
                due[claimed.contact.campaign_id].append(claimed)
        self._full = len(quotas) < len(wanting) or any(len(due[id_]) == quota for id_, quota in quotas)
        return due

    async def screen(
        self, due: dict[UUID, deque[contacts.Claimed]], order: Order, earliest: datetime
    ) -> list[Slot]:
        """Give slots to those that may be called, campaigns in turn; write down why the others may not.

        ``earliest``: a slot that is over before its request can leave would be made up beside those of another daemon.
        """
        self._earliest = earliest
        slots: list[Slot] = []
        turn = {id_ for id_ in due if due[id_]}
        taken: Counter[UUID] = Counter()
        while turn and len(slots) < self._most:
            at, lane = self._next(turn, order)
            if at > self._now + AHEAD:
                break
            claimed = due[lane.id].popleft()
            contact = claimed.contact
            verdict = screen(Case(contact, lane.campaign, claimed.facts, self._now))
            if not isinstance(verdict, Allowed):
                self._object(contact, verdict)
            elif self._pays(lane.price):
                slots.append(self._slot(lane, contact, at))
                taken[lane.id] += 1
                order.served(lane)
                self._normal -= lane.campaign.pacing.lane != "speed"
            else:
                # It stays due, and is looked at again when the purse is filled.
                self._most = len(slots)
            if not due[lane.id] or taken[lane.id] >= lane.quota:
                turn.discard(lane.id)
            if self._normal <= 0:
                turn -= {id_ for id_ in turn if self._lanes[id_].campaign.pacing.lane != "speed"}
        self._full = self._full or any(due.values())
        order.objected = bool(self._deferred or self._dropped)
        if self._deferred:
            await contacts.defer(self._conn, self._deferred)
        if self._dropped:
            await contacts.close_waiting(self._conn, self._dropped, actor="gate", now=self._now)
        return slots

    def _next(self, turn: set[UUID], order: Order) -> tuple[datetime, Lane]:
        """The first in turn of those that are ready first: no slot passes unused for one that is not ready."""
        ready = [(self._ready_at(lane), lane) for lane in (self._lanes[id_] for id_ in turn)]
        return ready[0] if len(ready) == 1 else min(ready, key=lambda each: (each[0], order.of(each[1])))

    def _object(self, contact: Contact, verdict: Deferred | Undiallable | Refused) -> None:
        """A rule objects: what is to be written of the contact."""
        match verdict:
            case Deferred(until, reason):
                self._deferred.append(contacts.Defer(contact.id, until, reason))
                self._dues.append(until)
            case Undiallable(reason):
                self._deferred.append(contacts.Defer(contact.id, AWAITS_START, reason))
            case Refused(reason, disposition):
                self._dropped.append(contacts.Drop(contact.id, reason, disposition))
            case never:
                assert_never(never)

    def _pays(self, price: Decimal) -> bool:
        """Whether the purses of the agent and of all pay a call; then its price is set aside."""
        if any(not each.calls(price) for each in self._purses):
            return False
        for each in self._purses:
            each.take(price)
        return True

    def _slot(self, lane: Lane, contact: Contact, at: datetime) -> Slot:
        self._bucket.take(at)
        if lane.bucket is not None:
            lane.bucket.take(at)
        return Slot(lane, contact, at)

    def _ready_at(self, lane: Lane) -> datetime:
        at = self._bucket.ready_at(self._earliest)
        return at if lane.bucket is None else max(at, lane.bucket.ready_at(self._earliest))

    async def begin(self, slots: list[Slot], daemon: UUID, *, probe: bool = False) -> list[Passed]:
        """Insert the attempts, and note the tokens that were taken."""
        if not slots:
            return []
        ids = new_ids(self._now, len(slots))
        rows = [
            attempts.Begin(id_, slot.contact.id, slot.at, slot.lane.price, slot.lane.version)
            for id_, slot in zip(ids, slots, strict=True)
        ]
        buckets = {agents.agent_bucket(self._line.name): self._bucket.next_at}
        for lane in self._lanes.values():
            if lane.bucket is not None:
                buckets[agents.campaign_bucket(lane.id)] = lane.bucket.next_at
        begun = await attempts.begin(
            self._conn,
            rows,
            buckets=buckets,
            agent=self._line.name,
            daemon=daemon,
            resolve_at=self._now + ANSWER_WITHIN,
            reason="passed the gate",
            now=self._now,
        )
        crash.at("gate.begun")
        pairs = zip(rows, slots, strict=True)
        return [self._passed(row.id, slot, probe) for row, slot in pairs if row.id in begun]

    def _passed(self, attempt_id: UUID, slot: Slot, probe: bool) -> Passed:
        contact = slot.contact
        token = make_token(attempt_id, self._line.token_secret)
        return Passed(
            attempt_id=attempt_id,
            contact_id=contact.id,
            campaign_id=contact.campaign_id,
            agent=self._line.name,
            number=contact.tries + 1,
            errors=contact.errors,
            spared=contact.tries - contact.attempts,
            marks=contact.marks,
            campaign=slot.lane.campaign,
            request=CallRequest(
                phone=contact.phone,
                name=contact.name,
                email=contact.email,
                metadata={**contact.metadata, TOKEN_KEY: token},
            ),
            slot_at=slot.at,
            deadline=self._deadline,
            key_mark=self._line.key_mark,
            probe=probe,
        )

    def again_at(self) -> datetime | None:
        """When to open again: as the next token nears if more may be due, else at the next due time."""
        if self._full:
            return max(self._now, self._bucket.next_at - REOPEN)
        waits = [
            lane.bucket.next_at - REOPEN
            for lane in self._lanes.values()
            if lane.bucket is not None and not lane.bucket.tokens(self._now, self._now + AHEAD)
        ]
        return min((*waits, *self._dues), default=None)


def room(campaign: Campaign, used: campaigns.Active) -> int:
    """How many calls the goal and the campaign's free lines still allow."""
    allowed = MOST
    if (wanted := campaign.goal.successes) is not None:
        missing = wanted - used.successes
        allowed = min(allowed, missing - used.live if campaign.goal.exact else MOST if missing > 0 else 0)
    if campaign.pacing.max_live_calls is not None:
        allowed = min(allowed, campaign.pacing.max_live_calls - used.lines)
    return allowed
