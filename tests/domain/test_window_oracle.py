"""A million instants in every zone, over ten years, against an oracle that reads the zones' own files."""

import random
import re
import struct
import zoneinfo
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from dialer.domain.campaign import Campaign
from dialer.domain.window import At, Whereabouts, is_open, next_allowed

FIRST = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
LAST = int(datetime(2036, 1, 1, tzinfo=UTC).timestamp())
EACH = 1700
"""Instants in each of some six hundred zones."""

ZONES = sorted(zone for zone in zoneinfo.available_timezones() if zone not in ("localtime", "Factory"))
CAMPAIGN = Campaign.model_validate(
    {
        "name": "c", "agent": "a",
        "window": {
            "days": ["mon", "tue", "wed", "thu", "fri", "sat"], "hours": ["01:30-02:30", "09:00-12:30", "13:30-20:00"],
            "blackout": ["2026-12-24", "2030-03-31", "2031-11-02"],
        },
    }
)  # fmt: skip
HOURS = ((90, 150), (540, 750), (810, 1200))
BLACKOUT = {20811, 22004, 22585}
"""The same dates as days since 1970."""


class Oracle:
    """A zone as its file says it (RFC 8536): changes of offset, then the rule of its last line, and the offsets."""

    def __init__(self, zone: str) -> None:
        data = contents(zone)
        gmt, std, leap, changes, types, names = struct.unpack(">6l", data[20:44])
        second = 44 + changes * 5 + types * 6 + names + leap * 8 + std + gmt
        assert data[second : second + 4] == b"TZif"
        gmt, std, leap, changes, types, names = struct.unpack(">6l", data[second + 20 : second + 44])
        at = second + 44
        times = list(struct.unpack(f">{changes}q", data[at : at + changes * 8]))
        at += changes * 8
        index = data[at : at + changes]
        at += changes
        kinds = [struct.unpack(">l", data[at + 6 * n : at + 6 * n + 4])[0] for n in range(types)]
        footer = data[at + types * 6 + names + leap * 12 + std + gmt :].strip().decode()
        offsets = [kinds[0], *(kinds[n] for n in index)]
        last = times[-1] if times else -(1 << 60)
        for time, offset in sorted(by_rule(footer)):
            if time > last:
                times.append(time)
                offsets.append(offset)
        self.times, self.offsets = times, offsets

    def local(self, instant: int) -> int:
        return instant + self.offsets[bisect_right(self.times, instant)]

    def is_open(self, instant: int) -> bool:
        local = self.local(instant)
        day, second = divmod(local, 86_400)
        # 1970-01-01 was a Thursday.
        weekday = (day + 3) % 7
        return (
            weekday != 6
            and day not in BLACKOUT
            and any(start * 60 <= second < end * 60 for start, end in HOURS)
        )


RULE = re.compile(
    r"(?:<[^>]+>|[A-Za-z]+)([-+\d:]+)(?:<[^>]+>|[A-Za-z]+)([-+\d:]*),M(\d+)\.(\d)\.(\d)(?:/([-+\d:]+))?"
    r",M(\d+)\.(\d)\.(\d)(?:/([-+\d:]+))?"
)


def by_rule(footer: str) -> Iterator[tuple[int, int]]:
    """The changes that a POSIX rule makes in these years: instant, and the offset from then on."""
    found = RULE.fullmatch(footer)
    if found is None:
        return
    std, dst, *days = found.groups()
    winter = -seconds(std)
    summer = -seconds(dst) if dst else winter + 3600
    for year in range(2025, 2037):
        for (month, week, weekday, time), before, after in (
            (days[:4], winter, summer),
            (days[4:], summer, winter),
        ):
            yield midnight(year, int(month), int(week), int(weekday)) + seconds(time or "2") - before, after


def seconds(text: str) -> int:
    parts = [int(part) for part in text.lstrip("+-").split(":")]
    value = sum(part * 60**n for part, n in zip(parts, (2, 1, 0), strict=False))
    return -value if text.startswith("-") else value


def midnight(year: int, month: int, week: int, weekday: int) -> int:
    """The week-th such weekday (Sunday is 0) of a month, 5 the last, as seconds since 1970 of a local clock."""
    day = datetime(year, month, 1, tzinfo=UTC)
    day += timedelta(days=(weekday - day.isoweekday()) % 7 + 7 * (week - 1))
    if day.month != month:
        day -= timedelta(days=7)
    return int(day.timestamp())


def contents(zone: str) -> bytes:
    """The file that the program reads as well: the system's first."""
    for folder in zoneinfo.TZPATH:
        if (path := Path(folder) / zone).is_file():
            return path.read_bytes()
    return files("tzdata.zoneinfo").joinpath(*zone.split("/")).read_bytes()


def instants(oracle: Oracle, dice: random.Random) -> list[int]:
    near = [time for time in oracle.times if FIRST <= time < LAST]
    found = [dice.randrange(FIRST, LAST) for _ in range(EACH - min(EACH // 2, 30 * len(near)))]
    while len(found) < EACH:
        found.append(dice.choice(near) + dice.choice([-86_400, -3600, -1, 0, 1, 1800, 3599, 3600, 7200]))
    return found


def test_the_oracle_reads_every_zone() -> None:
    assert len(ZONES) * EACH > 1_000_000
    spring = datetime(2035, 3, 25, 1, tzinfo=UTC).timestamp()
    assert [Oracle("Europe/Berlin").local(int(spring) + n) - int(spring) for n in (-1, 0)] == [3599, 7200]
    days = [date(2026, 12, 24), date(2030, 3, 31), date(2031, 11, 2)]
    assert {(day - date(1970, 1, 1)).days for day in days} == BLACKOUT


@pytest.mark.parametrize("part", range(4))
def test_a_million_instants_are_open_exactly_when_the_zones_files_say_so(part: int) -> None:
    for zone in ZONES[part::4]:
        oracle, who = Oracle(zone), Whereabouts((zone,))
        for instant in instants(oracle, random.Random(zone)):
            said = is_open(who, CAMPAIGN, datetime.fromtimestamp(instant, UTC))
            assert said is oracle.is_open(instant), (zone, datetime.fromtimestamp(instant, UTC))


@pytest.mark.parametrize("part", range(4))
def test_the_next_opening_is_the_first_minute_that_is_open(part: int) -> None:
    for zone in ZONES[part::4]:
        oracle, who, dice = Oracle(zone), Whereabouts((zone,)), random.Random(f"next {zone}")
        for instant in dice.sample(instants(oracle, dice), 12):
            found = next_allowed(who, CAMPAIGN, datetime.fromtimestamp(instant, UTC))
            assert isinstance(found, At)
            opens = int(found.time.timestamp())
            assert oracle.is_open(opens)
            assert not any(oracle.is_open(between) for between in range(instant, opens, 300))
            assert opens == instant or not oracle.is_open(opens - 1)


def test_a_day_of_blackout_is_shut_from_local_midnight_to_local_midnight() -> None:
    who = Whereabouts(("Pacific/Kiritimati",))
    eve = datetime(2026, 12, 23, 9, 59, tzinfo=UTC)
    found = next_allowed(who, CAMPAIGN, eve + timedelta(minutes=1))
    assert found == At(datetime(2026, 12, 24, 11, 30, tzinfo=UTC))
