"""Reload: SIGHUP reads the settings again; what may change while calls run is taken over, all of it or nothing.

Taken over: limits, keys and secrets of the agents at hand, who may send events and who is told, the ceilings of
credits, what signs the tokens. The rest (addresses, folders, pools, which agents there are) is named in the log and
waits for a restart.
"""

from collections.abc import Callable, Iterator

import structlog

from dialer.domain.errors import DialerError
from dialer.settings import Settings

LIVE = frozenset({"agents", "sources", "targets", "budget", "correlation"})
"""Sections whose keys are taken over."""

log = structlog.get_logger()


class Reload:
    """Settings in force, and where new ones come from; ``adopt`` takes over what is LIVE."""

    def __init__(
        self, settings: Settings, read: Callable[[], Settings], adopt: Callable[[Settings], None]
    ) -> None:
        self._settings = settings
        self._read = read
        self._adopt = adopt

    def again(self) -> bool:
        """Read, check, take over: False when the file is wrong, and then everything stays as it was."""
        try:
            read = self._read()
        except DialerError as error:
            log.error("settings not reloaded, the old ones stay", reason=str(error))  # noqa: TRY400
            return False
        waiting = list(self._waiting(read))
        # An agent that comes or goes waits for a restart; one that stays has its new limits and keys now.
        agents = {name: read.agents.get(name, agent) for name, agent in self._settings.agents.items()}
        taken = {"agents": agents, **{name: getattr(read, name) for name in LIVE - {"agents"}}}
        settings = self._settings.model_copy(update=taken)
        try:
            self._adopt(settings)
        except DialerError as error:
            log.error("settings not reloaded, the old ones stay", reason=str(error))  # noqa: TRY400
            return False
        self._settings = settings
        log.info("settings reloaded", agents=len(agents))
        if waiting:
            log.warning("settings wait for a restart", keys=waiting)
        return True

    def _waiting(self, read: Settings) -> Iterator[str]:
        for name in type(read).model_fields:
            if name not in LIVE and getattr(read, name) != getattr(self._settings, name):
                yield name
        for name in sorted(set(read.agents) ^ set(self._settings.agents)):
            yield f"agents.{name}"
