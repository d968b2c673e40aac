"""``dialer demo``: everything at once on this machine, against a simulated Calldock. Nobody is rung."""

from dialer.cli.demo.command import demo

__all__ = ["demo"]
