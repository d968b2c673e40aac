"""A Calldock that costs next to nothing: answers make-call at once and reports each call soon after, on loopback.

Bare asyncio protocols, so that what is measured is the dialer. ``python responder.py PORT DOOR[,DOOR…] SECRET DELAY``;
``DELAY`` in seconds from answer to report, negative: no report. Prints a line of JSON at SIGTERM: what it saw.
"""

import asyncio
import hashlib
import hmac
import json
import signal
import sys
import time
from collections import deque
from datetime import UTC, datetime

import uvloop

CONNECTIONS = 256
TURNS = [
    {
        "role": "agent",
        "message": "Hello, is this the right person to talk to about the order?",
        "time_in_call_secs": 0,
    },
    {"role": "user", "message": "Yes, speaking. What is it about, please?", "time_in_call_secs": 3},
]


class State:
    """What was seen, and the reports that wait for a free connection."""

    def __init__(self, secret: bytes, delay: float) -> None:
        self.secret = secret
        self.delay = delay
        self.calls = 0
        self.acknowledged = 0
        self.refused = 0
        self.phones: set[str] = set()
        self.doubles = 0
        self.waiting: deque[bytes] = deque()
        self.idle: deque[Reporter] = deque()
        self.took: list[float] = []
        self.came: list[float] = []
        self.connecting: set[asyncio.Task[None]] = set()

    def connect(self, port: int) -> None:
        """One more connection to a door, as soon as it is open."""
        task = asyncio.create_task(self._connect(port))
        self.connecting.add(task)
        task.add_done_callback(self.connecting.discard)

    async def _connect(self, port: int) -> None:
        while True:
            try:
                await asyncio.get_running_loop().create_connection(
                    lambda: Reporter(self, port), "127.0.0.1", port
                )
                break
            except OSError:
                await asyncio.sleep(0.1)

    def report(self, body: bytes) -> None:
        """Send a report over an idle connection, or as soon as one is."""
        if self.idle:
            self.idle.popleft().send(body)
        else:
            self.waiting.append(body)


class Answerer(asyncio.Protocol):
    """One connection on which calls are asked for."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = int(_header(head, b"content-length:") or 0)
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            self.answer(body, _header(head, b"x-agent-id:").decode())

    def answer(self, body: bytes, agent: str) -> None:
        state = self.state
        state.calls += 1
        state.came.append(time.perf_counter())
        phone = json.loads(body)["phone"]
        state.doubles += phone in state.phones
        state.phones.add(phone)
        said = b'{"success":true,"data":{"callId":"call_%d","status":"initiated","timestamp":"2026-01-01T00:00:00Z"}}'
        said = said % state.calls
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(said)
        self.transport.write(head + said)  # type: ignore[attr-defined]
        if state.delay >= 0:
            report = _report(phone, state.calls, agent)
            asyncio.get_running_loop().call_later(state.delay, state.report, report)


class Reporter(asyncio.Protocol):
    """One connection on which reports are sent, one after another."""

    def __init__(self, state: State, port: int) -> None:
        self.state = state
        self.port = port
        self.body: bytes | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.rest()

    def send(self, body: bytes) -> None:
        signature = hmac.new(self.state.secret, body, hashlib.sha256).hexdigest()
        head = (
            f"POST /webhook HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"X-Calldock-Event: post_call\r\nX-Calldock-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.body = body
        self.sent_at = time.perf_counter()
        self.transport.write(head.encode() + body)  # type: ignore[attr-defined]

    def connection_lost(self, _: Exception | None) -> None:
        # A door closes what is idle for long, and when its daemon ends: the report goes by another connection.
        if self in self.state.idle:
            self.state.idle.remove(self)
        if self.body is not None:
            self.state.report(self.body)
        self.state.connect(self.port)

    def data_received(self, data: bytes) -> None:
        self.body = None
        self.state.took.append(time.perf_counter() - self.sent_at)
        if data.startswith(b"HTTP/1.1 200"):
            self.state.acknowledged += 1
        else:
            self.state.refused += 1
        self.rest()

    def rest(self) -> None:
        if self.state.waiting:
            self.send(self.state.waiting.popleft())
        else:
            self.state.idle.append(self)


def _header(head: bytes, name: bytes) -> bytes:
    at = head.find(name)
    return head[at + len(name) :].split(b"\r\n", 1)[0].strip() if at >= 0 else b""


def _most(came: list[float], window: float = 1.0) -> int:
    """The most that came in any second."""
    most = first = 0
    for last, at in enumerate(came):
        while came[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def _report(phone: str, number: int, agent: str) -> bytes:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    said = {
        "webhook_version": "v1", "webhook_timestamp": now, "webhook_type": "post_call", "call_id": f"conv_{number}",
        "agent_id": agent, "phone_number": phone, "from_phone_number": "+13239776447", "status": "done",
        "intent": "account_setup", "intent_confidence": 0.9,
        "lead_data": {"name": "John Doe", "email": "john@example.com", "phone": phone},
        "duration_minutes": 2.35, "duration_seconds": 141, "start_time": now, "end_time": now,
        "call_successful": "success", "language": "en", "credits_deducted": 0.527,
        "metadata": {"summary": "A short talk about the order.", "transcript": "Agent: Hello …\nUser: Yes …",
                     "transcript_turns": TURNS},
        "recording_url": f"https://www.calldock.co/api/recordings/conv_{number}",
    }  # fmt: skip
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()


async def main(port: int, doors: list[int], secret: str, delay: float) -> None:
    """Answer until SIGTERM."""
    loop = asyncio.get_running_loop()
    state, end = State(secret.encode(), delay), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, end.set)
    server = await loop.create_server(lambda: Answerer(state), "127.0.0.1", port)
    print("ready", flush=True)
    if delay >= 0:
        for number in range(CONNECTIONS):
            state.connect(doors[number % len(doors)])
    await end.wait()
    server.close()
    took, came = sorted(state.took) or [0.0], state.came or [0.0, 1.0]
    print(
        json.dumps(
            {
                "calls": state.calls, "doubles": state.doubles, "acknowledged": state.acknowledged,
                "refused": state.refused, "ack_p50_ms": round(1000 * took[len(took) // 2], 2),
                "ack_p99_ms": round(1000 * took[len(took) * 99 // 100], 2),
                "rate": round((len(came) - 1) / (came[-1] - came[0]), 3), "most_in_a_second": _most(came),
            }
        ),
        flush=True,
    )  # fmt: skip


if __name__ == "__main__":
    ports = [int(port) for port in sys.argv[2].split(",")]
    uvloop.run(main(int(sys.argv[1]), ports, sys.argv[3], float(sys.argv[4])))
