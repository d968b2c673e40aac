"""The named places at which a process may die."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dialer import crash
from dialer.domain.errors import ConfigError

PACKAGE = Path(crash.__file__).parent


def test_every_place_is_passed_somewhere_once_and_no_other_is():
    calls = [
        name
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(r'\bcrash\.at\("([^"]*)"\)', path.read_text(encoding="utf-8"))
    ]
    assert sorted(calls) == sorted(crash.POINTS)


@pytest.mark.parametrize(
    ("says", "ends"),
    [
        ("dial.slot", -signal.SIGKILL),
        ("dial.slot:kill:3", -signal.SIGKILL),
        ("dial.slot:exit:2", 70),
        ("", 0),
    ],
)
def test_a_place_acts_at_its_passing_and_not_before(says, ends):
    times = int(says.rpartition(":")[2]) if says[-1:].isdecimal() else 1
    program = (
        "from dialer import crash\n"
        f"for _ in range({times - 1}): crash.at('dial.slot')\n"
        "crash.at('gate.begun')\nprint('here', flush=True)\ncrash.at('dial.slot')\nprint('there', flush=True)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False,
        env={**os.environ, crash.VARIABLE: says},
    )  # fmt: skip
    assert (ended.returncode, ended.stdout.split()) == (ends, ["here"] if says else ["here", "there"])


def test_a_stopped_process_goes_on_when_it_is_told_to():
    program = "from dialer import crash\ncrash.at('dial.slot')\nprint('there')"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ, crash.VARIABLE: "dial.slot:stop"}
    ) as process:  # fmt: skip
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        assert process.stdout is not None
        assert process.stdout.read() == b"there\n"


@pytest.mark.parametrize(
    "wrong", ["nowhere", "dial.slot:maim", "dial.slot:kill:0", "dial.slot:kill:1:2", ":kill"]
)
def test_a_place_that_is_none_is_refused_with_those_there_are(wrong):
    with pytest.raises(ConfigError, match=r"DIALER_CRASH_AT: .* is no place to crash; .* gate\.begun"):
        crash.armed(wrong)
