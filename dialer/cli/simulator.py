"""``dialer simulator``: the command is the simulator's own, so that it also runs without the daemon."""

from dialer.simulator.command import simulator

__all__ = ["simulator"]
