"""By hand: one person to be called now or not at all, through the same gate as every other.

Its contact expires within seconds, so whatever goes wrong, nobody is called later.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from dialer.campaign_file import CampaignFile
from dialer.database.queries import Connection
from dialer.database.store import campaigns, contacts
from dialer.domain.campaign import Cadence, Campaign, CampaignState, Contacts, Window
from dialer.domain.ids import new_id
from dialer.domain.phone import Phone, PhoneCheck
from dialer.engine import steer
from dialer.rulebook import packs


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom an agent is to call; ``any_hour``: outside 09:00-20:00 too; ``within`` so long, or not at all."""

    agent: str
    phone: Phone
    name: str | None
    email: str | None
    metadata: dict[str, Any]
    any_hour: bool
    within: timedelta


async def enrol(
    conn: Connection, wanted: Wanted, campaigns_dir: Path, *, actor: str, now: datetime
) -> tuple[UUID, UUID] | str:
    """One contact in the agent's campaign of calls by hand, which is made when it is missing: both ids, or why not."""
    name = f"by-hand-{wanted.agent}" + ("-any-hour" if wanted.any_hour else "")
    campaign = Campaign(
        name=name,
        agent=wanted.agent,
        window=Window(always=True) if wanted.any_hour else Window(),
        contacts=Contacts(phone_check=PhoneCheck.E164),
        cadence=Cadence(max_attempts=1),
        packs=() if wanted.any_hour else tuple(each.pack for each in packs(campaigns_dir).values()),
    )
    await contacts.close_expired(conn, actor=actor, now=now, most=1000)
    await steer.apply(conn, _file(campaign), actor=actor, now=now)
    row = await campaigns.find(conn, name)
    assert row is not None
    if row.state is CampaignState.STOPPED:
        return f"not called: campaign {name!r} is stopped, and calls by hand are made in it"
    if row.state is not CampaignState.ACTIVE:
        await steer.start(conn, name, actor=actor, now=now)
    contact_id = new_id(now)
    if not await contacts.insert(
        conn,
        contact_id=contact_id,
        campaign_id=row.id,
        key=str(contact_id),
        phone=wanted.phone.e164,
        name=wanted.name,
        email=wanted.email,
        metadata=wanted.metadata,
        zones=wanted.phone.zones,
        region=wanted.phone.region,
        asked_at=now,
        expires_at=now + wanted.within,
        now=now,
    ):
        return f"not called: a call to this number is open; see dialer contacts list --campaign {name}"
    return row.id, contact_id


def _file(campaign: Campaign) -> CampaignFile:
    """A campaign that no file holds: its source is its definition."""
    source = json.dumps(campaign.definition(), indent=2)
    return CampaignFile(campaign, source, hashlib.sha256(source.encode()).hexdigest())
