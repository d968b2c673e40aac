"""Notify: tells systemd that the daemon is ready, alive, or ending (``Type=notify``, ``WatchdogSec``); nobody else."""

import asyncio
import os
import socket
from collections.abc import Mapping


class Notifier:
    """``environ`` holds NOTIFY_SOCKET, and WATCHDOG_USEC, as sd_notify(3) says."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        watchdog = environ.get("WATCHDOG_USEC", "")
        self._every = int(watchdog) / 2_000_000 if watchdog.isdecimal() else 0.0

    def say(self, words: str) -> None:
        """Such as ``READY=1``. Whoever does not listen is no fault of the daemon's."""
        if not self._address:
            return
        # An address that begins with @ is abstract: it has no file.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.connect(address)
                sender.sendall(words.encode())
        except OSError:
            return

    async def watch(self) -> None:
        """Say that the loop turns, twice as often as systemd asks; a loop that hangs says nothing."""
        while True:
            if self._every:
                self.say("WATCHDOG=1")
            await asyncio.sleep(self._every or 3600)
