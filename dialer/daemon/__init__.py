"""The one place where the parts are put together, started in order and ended in order."""

from dialer.daemon.parts import Parts, database, migrated
from dialer.daemon.run import Daemon

__all__ = ["Daemon", "Parts", "database", "migrated"]
