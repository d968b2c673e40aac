"""How soon a report is acknowledged at 200 calls a second, and while somebody floods the door with forged ones."""

import asyncio
import contextlib
from typing import Any

from speed.house import House
from speed.life import life

RATE = 200
FLOODERS = 16
BODY = b'{"webhook_type":"post_call","agent_id":"agent_sales","call_id":"conv_forged","phone_number":"+12125550000"}'
HEAD = (
    b"POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"X-Calldock-Signature: %s\r\nContent-Length: %d\r\n\r\n"
) % (b"0" * 64, len(BODY))


async def doors(place: House, calls: int) -> dict[str, Any]:
    """The same calls twice."""
    calm = await life(place, calls, rate=RATE)
    forged = [0]
    flood = [asyncio.create_task(_flood(place.webhook, forged)) for _ in range(FLOODERS)]
    try:
        flooded = await life(place, calls, rate=RATE)
    finally:
        for each in flood:
            each.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
    return {
        "rate": RATE,
        "ack_p99_ms": calm["ack_p99_ms"],
        "seen_per_second": calm["seen_per_second"],
        "forged_per_second": round(forged[0] * flooded["calls_per_second"] / calls),
        "flooded_ack_p99_ms": flooded["ack_p99_ms"],
        "flooded_seen_per_second": flooded["seen_per_second"],
    }


async def _flood(port: int, forged: list[int]) -> None:
    """One connection on which forged reports are sent as fast as they are refused."""
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                while True:
                    writer.write(HEAD + BODY)
                    head = await reader.readuntil(b"\r\n\r\n")
                    at = head.lower().index(b"content-length:") + 15
                    await reader.readexactly(int(head[at:].split(b"\r\n", 1)[0]))
                    forged[0] += 1
        await asyncio.sleep(0.05)
