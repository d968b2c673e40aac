"""Sequel: what follows the end of an attempt: contacts that are enrolled in turn, and notices to the world.

Both are written in the transaction that ends the attempt, so neither is lost, and each once for an attempt and a rule,
whatever is reported again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog

from dialer.database.queries import Connection
from dialer.database.store import contacts, events, outbox
from dialer.domain.campaign import Campaign, CampaignState
from dialer.domain.campaign.links import FollowUp
from dialer.domain.disposition import Disposition, passes
from dialer.domain.ids import new_id
from dialer.domain.message import Facts, message
from dialer.engine import steer

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that ended. ``fields``: its report's; ``closed``: nobody will be called again for this contact."""

    attempt_id: UUID
    contact_id: UUID
    campaign_id: UUID
    number: int
    disposition: Disposition
    closed: bool
    credits: Decimal | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tested(self) -> dict[str, Any]:
        """What a rule's ``when`` is asked of."""
        return {**self.fields, "disposition": self.disposition, "closed": self.closed, "attempt": self.number}


async def follow(
    conn: Connection, definitions: Mapping[UUID, Campaign], ended: Sequence[Ended], now: datetime
) -> None:
    """Enrol who follows, and write what is to be told."""
    ended = [
        each
        for each in ended
        if definitions[each.campaign_id].follow_up or definitions[each.campaign_id].notice
    ]
    if not ended:
        return
    people = await events.people(conn, [each.contact_id for each in ended])
    follow_ons: list[tuple[Ended, events.FollowOn]] = []
    notices: list[outbox.Put] = []
    for each in ended:
        campaign, person = definitions[each.campaign_id], people[each.contact_id]
        rules = [rule for rule in campaign.follow_up if each.closed and passes(each.tested, rule.when)]
        for rule in rules[:1]:
            if rule.times is None or person["depth"] < rule.times:
                follow_ons.append((each, _enrol(each, rule, now)))
        for number, notice in enumerate(campaign.notice):
            if passes(each.tested, notice.when):
                facts = Facts(campaign.name, campaign.agent, person, each.tested, each.credits, now)
                said, fault = message(notice, facts)
                notices.append(
                    outbox.Put(
                        new_id(now),
                        notice.to,
                        each.campaign_id,
                        each.contact_id,
                        each.attempt_id,
                        number,
                        each.disposition,
                        said,
                        fault,
                    )
                )
    if follow_ons:
        await _follow_on(conn, follow_ons, now)
    if notices:
        await outbox.put(conn, notices, now)
        await steer.notify(conn, "outbox")


def _enrol(ended: Ended, rule: FollowUp, now: datetime) -> events.FollowOn:
    at = now + rule.after
    expires = None if rule.expires_after is None else at + rule.expires_after
    return events.FollowOn(
        new_id(now), ended.contact_id, rule.campaign, f"follows:{ended.attempt_id}", at, expires
    )


async def _follow_on(conn: Connection, who: Sequence[tuple[Ended, events.FollowOn]], now: datetime) -> None:
    made = await events.follow_on(conn, [each for _, each in who], now)
    names = sorted({each.campaign for _, each in who if each.id in made})
    for campaign_id, _ in await events.reopen(conn, names, now):
        await contacts.tell(
            conn, at=now, actor="follow-up", state=CampaignState.ACTIVE, reason="a follow-up brought work",
            campaign_id=campaign_id,
        )  # fmt: skip
    for ended, each in who:
        said = f"followed by {each.campaign} at {each.asked_at:%Y-%m-%d %H:%M}Z"
        if each.id not in made:
            said = f"not followed by {each.campaign}: it is stopped or unknown, or has this contact already"
            log.warning("follow-up not made", contact=str(ended.contact_id), reason=said)
        await contacts.tell(
            conn, at=now, actor="follow-up", state="closed", reason=said,
            campaign_id=ended.campaign_id, contact_id=ended.contact_id,
        )  # fmt: skip
    await steer.notify(conn, "contacts")
