"""What systemd is told, on a socket as systemd's."""

import asyncio
import socket
from pathlib import Path

import pytest

from dialer.daemon.notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
async def test_systemd_hears_that_the_daemon_is_ready_and_that_its_loop_turns(
    tmp_path: Path, abstract: bool
) -> None:
    address = f"@dialer-{tmp_path.name}-{abstract}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + address[1:] if abstract else address)
        systemd.setblocking(False)
        notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000"})
        notifier.say("READY=1")
        watching = asyncio.create_task(notifier.watch())
        heard = [await asyncio.get_running_loop().sock_recv(systemd, 64) for _ in range(4)]
        watching.cancel()
    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1"]


async def test_without_systemd_and_with_one_that_is_gone_nothing_happens(tmp_path: Path) -> None:
    Notifier({}).say("READY=1")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).say("READY=1")
