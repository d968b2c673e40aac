"""Enrolling: one contact that is not of a list: an event told of it, or a row."""

from datetime import datetime

from dialer.database.queries import Connection
from dialer.database.store import contacts, events
from dialer.database.store.campaigns import CampaignRow
from dialer.database.store.events import Enrolment
from dialer.domain.campaign import CampaignState


async def enrol(conn: Connection, row: CampaignRow, who: Enrolment, *, actor: str, now: datetime) -> bool:
    """Enrol a contact; a campaign that had finished has work again. False: it has the key, or the number, already."""
    if not await events.enrol(conn, who, now):
        return False
    if row.state is CampaignState.FINISHED:
        for campaign_id, _ in await events.reopen(conn, [row.name], now):
            await contacts.tell(
                conn, at=now, actor=actor, state=CampaignState.ACTIVE, reason=f"a {actor} brought work",
                campaign_id=campaign_id,
            )  # fmt: skip
    return True
