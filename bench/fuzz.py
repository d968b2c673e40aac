"""Bodies that nobody should send, by the million, against the webhook door.

    python bench/fuzz.py --bodies 1000000 [--sockets 20000] [--seed 1]

In process they go through the door's own check and reader; a part goes over a real socket as whole requests. No answer
may be a 5xx, nothing may raise, and memory may not grow. Prints one JSON document; exit 1 when a promise is broken.
"""

import argparse
import asyncio
import contextlib
import hashlib
import hmac
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from dialer.calldock.signature import Verifier
from dialer.engine.apply import Incoming, Receipt
from dialer.web.wall import Site, Wall, hardened
from dialer.web.webhook import SIGNATURE, Authentic, Door, Sender, application

SECRET = "whsec_fuzz"  # of nobody
SEEDS = [
    {
        "webhook_type": "post_call", "call_id": "conv_1", "agent_id": "agent_1", "phone_number": "+14155550100",
        "status": "completed", "intent": "book_meeting", "intent_confidence": 0.93, "duration_seconds": 61,
        "start_time": "2026-06-01T12:00:00Z", "end_time": "2026-06-01T12:01:01Z", "credits_deducted": 0.527,
        "lead_data": {"name": "Zoë ☎", "email": "a@example.com", "phone": "+14155550100"},
        "metadata": {"summary": "said yes", "transcript": "hello " * 20},
    },
    {"agent_id": "agent_1"}, {}, [], "text", 0, None,
]  # fmt: skip
ODD = [
    b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b'"', b"\\", b"\\u0000", b"\\ud800", b"NaN", b"-Infinity", b"1e999999999",
    b"9" * 500, b"[" * 200, b"]" * 200, b'{"a":' * 200, b',"agent_id":"agent_1"', b"\xf0\x9f\x93\x9e", b"-0", b"1e-7",
    b'"call_id":7,', b"null", b"true", b"\r\n\r\n", b"\xef\xbb\xbf",
]  # fmt: skip


def mutated(chance: random.Random) -> bytes:
    """One body, by a few random harms to a plausible one."""
    body = bytearray(json.dumps(chance.choice(SEEDS[:1] * 3 + SEEDS), ensure_ascii=False).encode())
    for _ in range(chance.choice((0, 0, 1, 1, 2, 8))):
        at = chance.randrange(len(body) + 1)
        match chance.randrange(7):
            case 0 if body:
                body[min(at, len(body) - 1)] = chance.randrange(256)
            case 1:
                body[at:at] = chance.choice(ODD)
            case 2:
                del body[at : at + chance.randrange(1, 20)]
            case 3:
                body[at:at] = body[: chance.randrange(60)]
            case 4:
                del body[at:]
            case 5:
                body[at:at] = chance.randbytes(chance.randrange(8))
            case _:
                body[at:at] = chance.choice(ODD) * chance.randrange(1, 8)
    if chance.random() < 0.0005:
        body += b"[" * 10_000 if chance.random() < 0.5 else b"x" * 2_000_000
    return bytes(body)


def signature(chance: random.Random, body: bytes) -> str | None:
    """Right for most, so that the reader is reached; else wrong in one of the ways."""
    right = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    if chance.random() < 0.7:
        return right
    return chance.choice(
        [None, "", "0" * 64, right[:32], "z" * 64, "sha256=" + right, right.upper(), "ü" * 64]
    )


class Taken:
    """Stands for the store: takes what is a report."""

    count = 0

    async def take(self, _: Incoming) -> Receipt:
        self.count += 1
        return Receipt.UNMATCHED


def memory() -> int:
    """Resident MiB now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


def made(receiver: Any) -> Door:
    return Door([Sender("sales", "agent_1", Verifier([SECRET]))], receiver)


async def in_process(door: Door, bodies: int, seed: int, done: Callable[[int], None]) -> Counter[str]:
    """Each body through the check and the reader. Raises what they raise."""
    chance = random.Random(seed)
    seen: Counter[str] = Counter()
    for number in range(bodies):
        body = mutated(chance)
        # From many addresses, so that the dear forms are reached too.
        remote = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        found = await door.authenticate(body, signature(chance, body), remote)
        seen[found.form if isinstance(found, Authentic) else type(found).__name__] += 1
        done(number)
    return seen


async def over_sockets(door: Door, bodies: int, seed: int) -> Counter[str]:
    """Whole requests on real connections; a framing may be harmed too."""
    wall = Wall(head_seconds=2, body_seconds=2)
    runner = hardened(application(door, path="/webhook", body_limit=1 << 20, wall=wall))
    await runner.setup()
    await Site(runner, wall, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    seen: Counter[str] = Counter()
    left = iter(range(bodies))

    async def send(worker: int) -> None:
        chance = random.Random(seed * 1000 + worker)
        for _ in left:
            body = mutated(chance)
            lines = [b"POST /webhook HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body)]
            if (said := signature(chance, body)) is not None:
                lines.append(f"{SIGNATURE}: {said}".encode())
            if chance.random() < 0.1:
                lines.insert(
                    chance.randrange(1, 4), chance.randbytes(chance.randrange(30)).replace(b"\n", b"")
                )
            lines.append(b"Connection: close")
            seen[await exchanged(port, b"\r\n".join(lines) + b"\r\n\r\n" + body)] += 1

    await asyncio.gather(*(send(worker) for worker in range(16)))
    await runner.cleanup()
    return seen


async def exchanged(port: int, request: bytes) -> str:
    """The status of the answer, or how there was none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = b""
    with contextlib.suppress(ConnectionError):
        writer.write(request)
        async with asyncio.timeout(30):
            said = await reader.read(4096)
    writer.close()
    return said[9:12].decode(errors="replace") if said else "closed"


async def fuzz(bodies: int, sockets: int, seed: int) -> dict[str, Any]:
    """The whole run: what was answered, how fast, and memory after a tenth and at the end, in MiB."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    at: dict[int, int] = {}

    def done(number: int) -> None:
        if number in (bodies // 10, bodies - 1):
            at[number] = memory()

    began = time.monotonic()
    taken = Taken()
    inside = await in_process(made(taken), bodies, seed, done)
    seconds = time.monotonic() - began
    before = memory()
    outside = await over_sockets(made(taken), sockets, seed)
    return {
        "bodies": bodies,
        "seed": seed,
        "per_second": round(bodies / seconds),
        "in_process": dict(inside),
        "sockets": dict(outside),
        "mib": [*at.values(), before, memory()],
        "errors": sum(count for status, count in outside.items() if status.startswith("5")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bodies", type=int, default=1_000_000)
    parser.add_argument("--sockets", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    found = asyncio.run(fuzz(arguments.bodies, arguments.sockets, arguments.seed))
    print(json.dumps(found, indent=1))
    sys.exit(found["errors"] > 0 or found["mib"][-1] > found["mib"][0] + 64)


if __name__ == "__main__":
    main()
