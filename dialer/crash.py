"""Named places at which a test ends or stops this process, to see what is left and what another process makes of it.

``DIALER_CRASH_AT=name[:kill|stop|exit][:n]`` acts at the n-th passing (the first, unless said) of one place: ``kill``
is kill -9, the default; ``stop`` is SIGSTOP; ``exit`` ends at once, without cleaning up. Unset, a place costs one look
into an empty dict.
"""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from dialer.domain.errors import ConfigError

VARIABLE: Final = "DIALER_CRASH_AT"

POINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gate.begun": "contacts are claimed and attempts inserted; nothing is committed",
        "gate.committed": "an attempt is committed as dialing; its request is not begun",
        "dial.slot": "the slot has come; no byte of the request has left",
        "dial.answered": "the answer is read; nothing of it is stored",
        "settle.written": "the answers are written; nothing is committed",
        "settle.committed": "the answers are committed; nobody has been told",
        "webhook.read": "a signed report is read; nothing is stored",
        "apply.stored": "reports are inserted, not applied; nothing is committed",
        "close.closed": "attempts are closed by their reports, their contacts are not; nothing is committed",
        "apply.written": "reports are stored, applied and booked; nothing is committed",
        "webhook.committed": "the report is committed; 200 has not been sent",
        "rescue.moved": "overdue attempts are moved, their contacts are not; nothing is committed",
        "hooks.read": "a signed event is read; nothing is kept",
        "hooks.committed": "the event is kept and obeyed; 200 has not been sent",
        "outbox.sent": "a target has taken a notice; it is not noted",
        "import.written": "a chunk of a list is inserted; nothing is committed",
        "import.committed": "a chunk is committed; the next one is not begun",
    }
)

ACTIONS: Final = ("kill", "stop", "exit")


@dataclass(slots=True)
class Armed:
    """What happens when a place has been passed ``left`` times."""

    action: str
    left: int

    def passed(self) -> None:
        """Count one passing, and act at the last."""
        self.left -= 1
        if self.left:
            return
        match self.action:
            case "exit":
                os._exit(70)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case _:
                os.kill(os.getpid(), signal.SIGKILL)


def armed(text: str) -> dict[str, Armed]:
    """What ``DIALER_CRASH_AT`` says: empty for nothing. Raises ConfigError for a place or action that is none."""
    if not text:
        return {}
    name, *rest = text.split(":")
    action = rest.pop(0) if rest and not rest[0].isdecimal() else "kill"
    times = rest.pop(0) if rest else "1"
    if name not in POINTS or action not in ACTIONS or rest or not times.isdecimal() or int(times) < 1:
        raise ConfigError(
            f"{VARIABLE}: {text!r} is no place to crash; write name[:kill|stop|exit][:n], "
            f"where name is one of {', '.join(POINTS)}"
        )
    return {name: Armed(action, int(times))}


_ARMED: Final[dict[str, Armed]] = {}


def arm(text: str) -> None:
    """Act from now on as ``text`` says, and in no other way. Raises ConfigError as ``armed`` does."""
    _ARMED.clear()
    _ARMED.update(armed(text))


def at(name: str) -> None:
    """This process passes a place."""
    place = _ARMED.get(name)
    if place is not None:
        place.passed()


arm(os.environ.get(VARIABLE, ""))
