"""Ending: what the cadence makes of a contact whose attempt has ended."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import assert_never
from uuid import UUID

from dialer.database.queries import Connection
from dialer.database.store import attempts
from dialer.database.store.contacts import Release
from dialer.domain.cadence import Close, Past, Reattempt, decide
from dialer.domain.campaign import Campaign
from dialer.domain.contact import ContactState
from dialer.domain.disposition import Disposition


def ended(
    contact_id: UUID,
    number: int,
    campaign: Campaign,
    disposition: Disposition,
    past: Past,
    *,
    now: datetime,
    callback: datetime | None = None,
) -> Release:
    """The contact of attempt ``number`` waits again, or is closed; as ``dialer.domain.cadence.decide`` says."""
    match decide(campaign, disposition, past, now=now, callback=callback):
        case Close(reason):
            state, due_at = ContactState.CLOSED, None
        case Reattempt(at, reason):
            state, due_at = ContactState.WAITING, at
        case never:
            assert_never(never)
    return Release(
        contact_id=contact_id,
        number=number,
        state=state,
        due_at=due_at,
        reason=reason,
        disposition=disposition,
    )


async def tried(
    conn: Connection, definitions: Mapping[UUID, Campaign], contacts: Iterable[tuple[UUID, UUID]]
) -> dict[UUID, tuple[datetime, ...]]:
    """When contacts, each with its campaign, were tried: asked only for campaigns that want another hour."""
    wanted = [contact for contact, campaign in contacts if definitions[campaign].cadence.another_hour]
    return await attempts.begun_at(conn, wanted) if wanted else {}
