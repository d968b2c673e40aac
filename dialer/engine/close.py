"""Close: end an attempt by its report, and let its contact follow.

What the report books and where it is kept is ``apply``'s. A wish not to be called holds for the number everywhere, in
the same transaction, whatever else is wrong with the report that says it.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from dialer import crash
from dialer.calldock.report import Report
from dialer.database.queries import Connection
from dialer.database.store import attempts, contacts, suppressions
from dialer.database.store.attempts import Candidate, Closing
from dialer.database.store.suppressions import Why
from dialer.domain.attempt import AttemptState
from dialer.domain.cadence import Past, asked_for
from dialer.domain.disposition import Disposition, field, judge, passes
from dialer.domain.window import Whereabouts
from dialer.engine import suppress
from dialer.engine.definitions import Definitions
from dialer.engine.ending import ended, tried
from dialer.engine.sequel import Ended, follow

PHONE: Final = re.compile(r"\+[1-9][0-9]{1,14}")

log = structlog.get_logger()


class Applied(NamedTuple):
    """One report and the attempt that it closes; credits only if they are credible."""

    report_id: UUID
    call_id: str | None
    report: Report
    credits: Decimal | None
    attempt: Candidate
    rule: str


class Closer:
    """Closes attempts within the caller's transaction."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    async def close(
        self, conn: Connection, applied: Sequence[Applied], now: datetime, *, actor: str = "webhook"
    ) -> set[str]:
        """Close the attempts and decide about their contacts: the agents whose lines or numbers were freed."""
        if not applied:
            return set()
        versions = {item.attempt.campaign_id: item.attempt.version for item in applied}
        definitions = await self._definitions.of(conn, versions.items())
        # The only attempt of a contact, while it is live, has none before it.
        several = [
            item.attempt.contact_id
            for item in applied
            if item.attempt.tries > 1 or item.attempt.state is AttemptState.UNREPORTED
        ]
        earlier = await attempts.endings(conn, several) if several else {}
        begun = await tried(
            conn, definitions, [(item.attempt.contact_id, item.attempt.campaign_id) for item in applied]
        )
        closings, releases, opted_out = [], [], []
        for item in applied:
            campaign = definitions[item.attempt.campaign_id]
            disposition = judge(item.report.fields, campaign.disposition)
            closings.append(
                Closing(
                    id=item.attempt.id,
                    report_id=item.report_id,
                    call_id=item.call_id,
                    disposition=disposition,
                    credits=item.credits,
                    rule=item.rule,
                    success=passes({**item.report.fields, "disposition": disposition}, campaign.goal.when),
                )
            )
            past = Past(
                earlier.get((item.attempt.contact_id, disposition), 0),
                item.attempt.attempts + item.attempt.spared,
                Whereabouts(item.attempt.zones, item.attempt.region, item.attempt.phone),
                begun.get(item.attempt.contact_id, ()),
            )
            asked = campaign.cadence.callback_at
            releases.append(
                ended(
                    item.attempt.contact_id,
                    item.attempt.number,
                    campaign,
                    disposition,
                    past,
                    now=now,
                    callback=asked_for(field(item.report.fields, asked), past.where.zones, now)
                    if asked
                    else None,
                )
            )
            if disposition is Disposition.DO_NOT_CALL:
                opted_out.append(item.attempt.phone)
        await attempts.report(conn, closings, now, actor=actor)
        crash.at("close.closed")
        if spared := [item.attempt.contact_id for item in applied if item.attempt.spared]:
            await contacts.count_attempts(conn, spared)
        phones = [item.attempt.phone for item in applied]
        closed, woken = await contacts.release(
            conn, releases, changed=phones, freed=phones, actor="cadence", now=now
        )
        ends = [
            Ended(
                item.attempt.id,
                item.attempt.contact_id,
                item.attempt.campaign_id,
                item.attempt.number,
                closing.disposition,
                item.attempt.contact_id in closed,
                item.credits,
                item.report.fields,
            )
            for item, closing in zip(applied, closings, strict=True)
        ]
        await follow(conn, definitions, ends, now)
        if opted_out:
            await opt_out(conn, opted_out, now)
        return woken | {item.attempt.agent for item in applied}

    async def heed(self, conn: Connection, heard: Iterable[Report], now: datetime) -> None:
        """A wish not to be called holds whatever else is wrong with the report that says it."""
        wishes = [
            report.phone
            for report in heard
            if report.phone is not None and judge(report.fields) is Disposition.DO_NOT_CALL
        ]
        if wishes:
            await opt_out(conn, wishes, now)


async def opt_out(conn: Connection, phones: Sequence[str], now: datetime) -> None:
    """Suppress numbers everywhere, and close what waits for them, in the transaction of the report that says so.

    A person who was erased is suppressed already, and the number is not to be kept again.
    """
    named = {phone for phone in phones if PHONE.fullmatch(phone)}
    phones = sorted(named - await suppressions.erased(conn, named, await suppressions.secret(conn)))
    await suppress.add(conn, phones, [], Why("report", "asked not to be called", "webhook"), now)
    log.info("suppressed by report", numbers=len(phones))
