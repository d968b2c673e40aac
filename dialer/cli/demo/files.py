"""What the demo writes before it begins: the people, the campaign, the simulator's scenario, the daemon's settings."""

import json
import secrets
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from dialer.cli.demo import people
from dialer.cli.demo.place import Place
from dialer.domain.errors import ConfigError

AGENT: Final = "sales"
CAMPAIGN: Final = "demo"

_CONFIG: Final = """\
# Written by dialer demo, and again by the next one.
state_dir = {folder}
campaigns_dir = {campaigns}

[calldock]
base_url = {simulator}

[agents.sales]
agent_id = "agent_demo"
api_key = {key}
webhook_secrets = [{secret}]
calls_per_second = {rate}
max_live_calls = {lines}

[webhook]
host = "127.0.0.1"
port = {port}

[console]
port = {console}

[log]
format = "json"
"""

_CAMPAIGN: Final = """\
# The demo's campaign. A real one waits hours where this one waits seconds, and has a calling window.
name = "demo"
agent = "sales"

[window]
always = true                      # nobody is rung; a real campaign leaves this out: 09:00-20:00 where the contact is

[rules]
packs = []                         # and this: what the law of each place allows

[cadence]
max_attempts = 3
no_answer = ["3s", "5s"]
busy = ["2s", "4s"]
voicemail = ["4s"]
failed = ["2s"]
no_report = ["2s"]
callback_requested = ["5s"]

[budget]
credits = {credits}
estimate = 0.5

[provider]
retry_first = "6s"                 # after a 500: wait for its report, and only then try again
retry_factor = 2
unknown_hold = "20s"
report_horizon = "9s"              # after which a placed call counts as never reported
"""

_SCENARIO: Final = """\
# What the simulated Calldock does in the demo; docs/simulator.md explains every key.
time_scale = 60                    # a call of two minutes is over after two seconds

[[agents]]
agent_id = "agent_demo"
api_key = {key}
webhook_secret = {secret}
webhook_url = {webhook}

[answer]
latency = [0.03, 0.25]

[call]
seconds = [20, 180]

[[call.outcomes]]
intents = ["account_setup", "book_meeting", "pricing", "support"]
weight = 62

[[call.outcomes]]
call_successful = "failure"
intents = ["not_interested"]
weight = 7

[[call.outcomes]]
intents = ["callback_requested"]
weight = 4

[[call.outcomes]]
call_successful = "failure"
intents = ["do_not_call", "wrong_number"]
seconds = [6, 15]
weight = 3

[[call.outcomes]]
status = "no_answer"
call_successful = "failure"
intents = ["unknown"]
seconds = 0
weight = 11

[[call.outcomes]]
status = "voicemail"
call_successful = "failure"
intents = ["unknown"]
seconds = [8, 30]
weight = 7

[[call.outcomes]]
status = "busy"
call_successful = "failure"
intents = ["unknown"]
seconds = 0
weight = 4

[[call.outcomes]]
status = "failed"
call_successful = "failure"
intents = ["unknown"]
seconds = 0
weight = 2

[webhook]
delay = [0.05, 0.4]
double = 0.05                      # reports that come twice
early = 0.02                       # reports that overtake the answer
reorder = 0.08                     # reports that are held back
missing = 0.01                     # reports that never come

[[rules]]
name = "this number again only in a second"
requests = [4, 1000000000]
answer = "number_limited"
retry_after = {{ seconds = 1 }}
times = 2

[[rules]]
name = "500, and yet the phone rings: its report closes the attempt, and nobody is called twice"
requests = [9, 1000000000]
answer = "status"
status = 500
placed = true
times = 1

[[rules]]
name = "500"
requests = [17, 1000000000]
answer = "status"
status = 500
times = 1
"""


@dataclass(frozen=True, slots=True)
class Doors:
    """What is agreed between daemon and simulator: the ports, the key, the secret."""

    webhook: int
    console: int
    simulator: int
    key: str
    secret: str

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.webhook}/webhook"

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self.simulator}"


def doors(webhook: int) -> Doors:
    """Free ports, the webhook's the one asked for unless that is 0, and a key and a secret of this demo's own.

    Raises ConfigError when the port that was asked for is taken.
    """
    with ExitStack() as stack:
        # Held together, so that they differ.
        probes = [stack.enter_context(socket.socket()) for _ in range(3)]
        for probe, wanted in zip(probes, (webhook, 0, 0), strict=True):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError as error:
                raise ConfigError(
                    f"--port: {wanted} cannot be had ({error.strerror}); leave it out for a free one"
                ) from None
        one, two, three = (probe.getsockname()[1] for probe in probes)
    return Doors(one, two, three, f"ck_demo_{secrets.token_hex(8)}", secrets.token_hex(16))


def prepare(place: Place, doors: Doors, contacts: int) -> None:
    """Write the list of people, the campaign and the simulator's scenario; forget the last truth."""
    people.write(place.people, contacts)
    place.campaign.write_text(_CAMPAIGN.format(credits=max(100, 2 * contacts)), encoding="utf-8")
    scenario = _SCENARIO.format(
        key=_toml(doors.key), secret=_toml(doors.secret), webhook=_toml(doors.webhook_url)
    )
    place.scenario.write_text(scenario, encoding="utf-8")
    for name in ("daemon", "simulator"):
        place.log(name).unlink(missing_ok=True)
    place.truth.unlink(missing_ok=True)


def configure(place: Place, doors: Doors, rate: Decimal) -> None:
    """Write the daemon's settings, for nobody else to read."""
    text = _CONFIG.format(
        folder=_toml(str(place.folder)),
        campaigns=_toml(str(place.campaign.parent)),
        simulator=_toml(doors.simulator_url),
        key=_toml(doors.key),
        secret=_toml(doors.secret),
        rate=f"{rate:f}",
        lines=max(10, int(rate * 6)),
        port=doors.webhook,
        console=doors.console,
    )
    place.config.unlink(missing_ok=True)
    place.config.touch(0o600)
    place.config.write_text(text, encoding="utf-8")


def _toml(text: str) -> str:
    """A TOML text; JSON's escapes are TOML's too."""
    return json.dumps(text, ensure_ascii=False)
