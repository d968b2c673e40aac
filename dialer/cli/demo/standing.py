"""How the demo's campaign stands, read from the database as any other program would."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from dialer.cli.demo.files import CAMPAIGN
from dialer.cli.session import Session
from dialer.database.store import attempts, campaigns, ledger
from dialer.domain.attempt import LIVE
from dialer.domain.campaign import CampaignState
from dialer.domain.disposition import Disposition

RECENT: Final = timedelta(seconds=10)
"""How old an attempt may be to be told in the ticker."""
_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Ending:
    """One attempt that was closed: ``phone`` has all but its ends hidden."""

    at: datetime
    phone: str
    name: str
    number: int
    disposition: str
    credits: Decimal | None


@dataclass(frozen=True, slots=True)
class Standing:
    """The campaign at one instant; credits in credits. ``again``: of those waiting, called before."""

    state: CampaignState
    reason: str
    waiting: int
    again: int
    calling: int
    closed: int
    dispositions: Counter[str]
    attempts: int
    live: int
    spent: Decimal
    reserved: Decimal
    budget: Decimal | None
    recent: list[Ending]

    @property
    def contacts(self) -> int:
        return self.waiting + self.calling + self.closed

    @property
    def finished(self) -> bool:
        return self.state is CampaignState.FINISHED


async def read(session: Session) -> Standing:
    """The standing now; ``recent`` with the latest first."""
    now = session.clock.now()
    async with session.pool.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        row = await campaigns.find(conn, CAMPAIGN)
        assert row is not None
        counts = await campaigns.counts(conn, row.id)
        states = await attempts.counts(conn)
        (account,) = await ledger.accounts(conn, datetime.now(UTC), CAMPAIGN)
        page = await attempts.export(conn, campaign=CAMPAIGN, after=_oldest(now - RECENT), most=_MOST)
    in_state: Counter[str] = Counter()
    dispositions: Counter[str] = Counter()
    again = 0
    for state, disposition, _, number in counts:
        in_state[state] += number
        if state == "closed":
            dispositions[disposition or "not called"] += number
        elif state == "waiting" and disposition is not None:
            again += number
    recent = [
        Ending(
            at=item["closed_at"],
            phone=masked(item["phone"]),
            name=item["name"] or "",
            number=item["number"],
            disposition=item["disposition"] or item["cause"],
            credits=item["credits"],
        )
        for item in page
        if item["closed_at"] is not None
    ]
    return Standing(
        state=row.state,
        reason=row.reason,
        waiting=in_state["waiting"],
        again=again,
        calling=in_state["calling"],
        closed=in_state["closed"],
        dispositions=dispositions,
        attempts=sum(states.values()),
        live=sum(number for state, number in states.items() if state in LIVE),
        spent=account.spent,
        reserved=account.reserved,
        budget=account.budget,
        recent=sorted(recent, key=lambda ending: ending.at, reverse=True),
    )


def masked(phone: str) -> str:
    """``+442079460123`` as ``+44••••••••23``."""
    return phone[:3] + "•" * (len(phone) - 5) + phone[-2:]


def ordered(dispositions: Counter[str]) -> list[tuple[str, int]]:
    """In the order of the vocabulary, what is none of it last."""
    words = [word.value for word in Disposition]
    return sorted(
        dispositions.items(), key=lambda item: words.index(item[0]) if item[0] in words else len(words)
    )


def _oldest(at: datetime) -> UUID:
    """The id that sorts before every id made at this instant (UUID v7)."""
    return UUID(int=int(at.timestamp() * 1000) << 80)
