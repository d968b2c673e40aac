"""What the demo came to: our ledger beside the simulator's own record of what was really placed."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from dialer.cli.demo.files import CAMPAIGN
from dialer.cli.demo.place import Place
from dialer.cli.demo.standing import ordered, read
from dialer.cli.session import Session
from dialer.database.store import attempts, ledger
from dialer.simulator import read_truth

PAGE = 2000


@dataclass(frozen=True, slots=True)
class Truth:
    """What the simulator placed and reported. ``certain``: credits of acknowledged reports, by their call id.

    ``busiest_second``: most calls placed in one second of the clock.
    ``perhaps``: of reports that were sent and not answered, so that nobody knows whether they were stored.
    """

    calls: int
    busiest_second: int
    never_reported: int
    certain: dict[str, Decimal]
    perhaps: dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Result:
    """The summary. ``dispositions``: closed contacts by how they ended; ``equal``: ledger and truth agree.

    ``calls_placed`` and what follows it are the simulator's own account; ``credits_suspense`` belong to no attempt.
    """

    finished: bool
    contacts: int
    closed: int
    attempts: int
    dispositions: dict[str, int]
    marks: dict[str, int]
    calls_placed: int
    calls_never_reported: int
    credits_booked: Decimal
    credits_suspense: Decimal
    credits_truth: Decimal
    equal: bool
    seconds: float
    calls_per_second: float
    calls_in_busiest_second: int
    state_dir: str

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


async def compare(session: Session, place: Place, *, finished: bool, seconds: float) -> Result:
    """Read both records; the daemon and the simulator have ended."""
    truth = told(read_truth(place.truth))
    standing = await read(session)
    booked: dict[str, Decimal] = {}
    marks: Counter[str] = Counter()
    after: UUID | None = None
    async with session.pool.acquire() as conn:
        (account,) = await ledger.accounts(conn, datetime.now(UTC), CAMPAIGN)
        suspense, _ = await ledger.suspense(conn)
        while page := await attempts.export(conn, campaign=CAMPAIGN, after=after, most=PAGE):
            after = page[-1]["id"]
            for row in page:
                marks.update(row["marks"])
                if row["report_call_id"] is not None:
                    booked[row["report_call_id"]] = row["credits"]
    expected = truth.certain | {id_: credit for id_, credit in truth.perhaps.items() if id_ in booked}
    return Result(
        finished=finished,
        contacts=standing.contacts,
        closed=standing.closed,
        attempts=standing.attempts,
        dispositions=dict(ordered(standing.dispositions)),
        marks=dict(sorted(marks.items())),
        calls_placed=truth.calls,
        calls_never_reported=truth.never_reported,
        credits_booked=account.spent,
        credits_suspense=suspense,
        credits_truth=sum(expected.values(), Decimal(0)),
        # Call by call, and in sum: two wrongs that cancel out are no right. Nobody else uses this agent, so that
        # nothing may be in suspense.
        equal=booked == expected and account.spent == sum(expected.values()) and suspense == 0,
        seconds=round(seconds, 1),
        calls_per_second=round(truth.calls / seconds, 1) if seconds else 0.0,
        calls_in_busiest_second=truth.busiest_second,
        state_dir=str(place.folder),
    )


def told(events: Iterable[dict[str, Any]]) -> Truth:
    """The truth log, read as docs/simulator.md says."""
    never = 0
    seconds: Counter[str] = Counter()
    certain: dict[str, Decimal] = {}
    perhaps: dict[str, Decimal] = {}
    for event in events:
        match event:
            case {"event": "placed", "start_time": start, "reports": reports}:
                seconds[start[:19]] += 1
                never += not reports
            case {
                "event": "webhook",
                "kind": "first" | "double",
                "conv_id": id_,
                "credits": credit,
                "status": status,
            }:
                if event["acked"]:
                    certain[id_] = Decimal(credit)
                elif status is None:
                    perhaps[id_] = Decimal(credit)
            case _:
                pass
    return Truth(
        calls=seconds.total(),
        busiest_second=max(seconds.values(), default=0),
        never_reported=never,
        certain=certain,
        perhaps={id_: credit for id_, credit in perhaps.items() if id_ not in certain},
    )
