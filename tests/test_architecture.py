"""docs/architecture.md says what the code says: the moves, the files, the numbers."""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import pytest

from dialer.domain import attempt, campaign, contact
from dialer.domain.correlation import EARLIEST, LATEST, REPLAYS
from dialer.domain.duration import write
from dialer.domain.screening import SEND_WITHIN
from dialer.engine.dial import LOOK_AGAIN
from dialer.engine.opening import ANSWER_WITHIN
from dialer.engine.passage import AHEAD
from dialer.engine.settle import REJECTED
from dialer.engine.verdict import NOT_SENT_WAIT, THROTTLED_WAIT

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under a heading, up to the next one."""
    match = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert match, title
    return match[1]


def rows(title: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


@pytest.mark.parametrize(
    ("title", "moves"),
    [("Campaign", campaign.MOVES), ("Contact", contact.MOVES), ("Attempt", attempt.MOVES)],
    ids=["campaign", "contact", "attempt"],
)
def test_the_moves_are_those_of_the_domain(title: str, moves: Mapping[StrEnum, frozenset[StrEnum]]) -> None:
    told = {quoted(row[0])[0]: set(quoted(row[1])) for row in rows(title)}
    assert told == {state.value: {to.value for to in allowed} for state, allowed in moves.items()}


def test_the_live_states_are_those_of_the_domain() -> None:
    live = {quoted(row[0])[0] for row in rows("Attempt") if row[2] == "yes"}
    assert live == {state.value for state in attempt.LIVE}


def test_every_file_on_the_path_of_a_contact_exists() -> None:
    for row in rows("The path of one contact"):
        folder = Path()
        for name in quoted(row[1]):
            # `intake/encoding`, `lines`: the folder is said once.
            path = Path(name)
            folder = path.parent if path.parent != Path() or name == "scheduler" else folder
            inside = ROOT / "dialer" / ("database" if path.parts[0] == "store" else "") / folder / path.name
            assert inside.with_suffix(".py").is_file() or inside.is_dir(), name


def test_every_file_of_the_engine_is_told() -> None:
    told = {name for row in rows("The floors") for name in quoted(row[0])}
    files = {path.stem for path in (ROOT / "dialer" / "engine").glob("*.py")} - {"__init__"}
    assert files <= told


def test_every_top_of_the_package_is_on_a_floor() -> None:
    told = section("The floors")
    for path in (ROOT / "dialer").iterdir():
        if path.name.startswith("_") or path.name == "py.typed":
            continue
        name = f"{path.name}/" if path.is_dir() else path.name
        assert f"`{name}`" in told or f"`{path.stem}`" in told, name


@pytest.mark.parametrize(
    ("title", "says"),
    [
        ("The gate", f"{AHEAD.total_seconds() * 1000:.0f} ms"),
        ("The gate", f"{write(SEND_WITHIN).removesuffix('s')} s (monotonic)"),
        ("Pacing", f"after {LOOK_AGAIN.total_seconds():.0f} s the loop looks"),
        ("What an answer means", f"within {ANSWER_WITHIN.total_seconds():.0f} s"),
        ("What an answer means", f"again in {NOT_SENT_WAIT.total_seconds():.0f} s"),
        ("What an answer means", f"or {THROTTLED_WAIT.total_seconds():.0f} s, doubled"),
        ("What an answer means", f"{ {10: 'Ten'}[REJECTED] } in a row"),
        (
            "What an answer means",
            f"`report_horizon` ({campaign.Provider().report_horizon.seconds // 3600} h)",
        ),
        ("What an answer means", f"`unknown_hold` ({campaign.Provider().unknown_hold.seconds // 60} min)"),
        ("The report", f"{LATEST.seconds // 60} min before, or {EARLIEST.seconds // 60} min after"),
    ],
)
def test_the_numbers_are_those_of_the_code(title: str, says: str) -> None:
    assert says in section(title)


def test_the_waits_of_replays_and_of_500s_are_those_of_the_code() -> None:
    spaced = [re.sub(r"(\d+)m$", r"\1 min", write(wait)) for wait in REPLAYS]
    waits = ", ".join(re.sub(r"(\d+)([sh])$", r"\1 \2", wait) for wait in spaced).replace("1 d", "24 h")
    assert waits.replace("1d", "24 h") in section("The report")
    provider = campaign.Provider()
    after = [
        provider.retry_first.seconds // 60 * provider.retry_factor**n for n in range(provider.retry_tries)
    ]
    assert f"{after[0]} min, then {', '.join(map(str, after[1:]))}" in section("What an answer means")
