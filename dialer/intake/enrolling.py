"""Enrolling: one contact that is not of a list: an event, a row or a program told of it."""

from datetime import datetime
from uuid import UUID

from dialer.database.queries import Connection
from dialer.database.store import contacts, events
from dialer.database.store.campaigns import CampaignRow
from dialer.database.store.events import Enrolment
from dialer.domain.campaign import CampaignState
from dialer.domain.ids import new_id
from dialer.intake.people import Person


def enrolment(
    campaign_id: UUID,
    key: str,
    person: Person,
    now: datetime,
    *,
    event_id: UUID | None = None,
    from_row: bool = False,
) -> Enrolment:
    """A person who was judged, as a contact to be: of an event, of a row, or of neither."""
    consent = person.consent
    return Enrolment(
        id=new_id(now),
        campaign_id=campaign_id,
        event_id=event_id,
        key=key,
        phone=person.phone,
        name=person.name,
        email=person.email,
        metadata=person.metadata,
        zones=person.zones,
        region=person.region,
        asked_at=person.asked_at,
        expires_at=person.expires_at,
        consent=consent.kind if consent else None,
        consent_source=consent.source if consent else None,
        consent_at=consent.at if consent else None,
        from_row=from_row,
    )


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
