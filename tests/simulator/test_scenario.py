"""A scenario file is checked whole: every mistake is told with file, key and mend."""

import re
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from dialer.simulator import Outcome, Rule, Scenario, ScenarioError, read_scenario
from dialer.simulator.scenario_file import _model_in

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulator.md"


def run(*options):
    return subprocess.run(
        [sys.executable, "-m", "dialer.simulator", *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[webhook]\ndobule = 1", "webhook.dobule: unknown key; did you mean double?"),
        ("[[rules]]\nanser = 'ok'", "rules.0.anser: unknown key; did you mean answer?"),
        ("frog = 1", "frog: unknown key; known keys: seed, time_scale, agents"),
        ("[webhook]\ndouble = 1.5", "webhook.double: Input should be less than or equal to 1"),
        ("[webhook]\ndelay = 'x'", "webhook.delay: give a number of seconds or [least, most]"),
        ("[webhook]\ndelay = [1, 2, 3]", "webhook.delay: give a number of seconds or [least, most]"),
        ("[webhook]\ndelay = true", "webhook.delay: give a number of seconds or [least, most]"),
        (
            "[call]\nseconds = [9, 1]",
            "call.seconds: seconds must not be negative, and the least must come first",
        ),
        ("[[rules]]\nanswer = 'bang'", "rules.0.answer: Input should be 'ok', 'status'"),
        ("[[rules]]\nanswer = 'status'", 'rules.0: answer = "status" and status = <number> go together'),
        ("[[rules]]\nstatus = 500", 'rules.0: answer = "status" and status = <number> go together'),
        (
            "[[rules]]\noutcome = 'bussy'",
            "rules.0.outcome: no outcome has the status or intent 'bussy'; there are",
        ),
        ("[[agents]]\n[[agents]]", "agents: two of them have the same agent_id"),
        ("agents = []", "agents: List should have at least 1 item"),
        ("[[call.outcomes]]\nweight = 0", "call: outcomes: at least one weight must be above 0"),
        ("seed = 1\nfrog", "is not TOML: Expected '=' after a key in a key/value pair (at"),
    ],
)
def test_a_wrong_scenario_names_file_key_and_mend(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read_scenario(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_every_mistake_is_told_at_once(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("a = 1\nb = 2\n[webhook]\nc = 3\n")
    with pytest.raises(ScenarioError) as caught:
        read_scenario(path)
    assert len(str(caught.value).splitlines()) == 3


def test_the_command_line_refuses_it_with_exit_code_2_and_starts_nothing(tmp_path):
    path, truth = tmp_path / "bad.toml", tmp_path / "truth.jsonl"
    path.write_text("[webhook]\ndobule = 1")
    done = run("--scenario", str(path), "--truth", str(truth))
    assert (done.returncode, done.stdout, truth.exists()) == (2, "", False)
    assert done.stderr.strip() == f"{path}: webhook.dobule: unknown key; did you mean double?"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scenario", "/nowhere.toml"], "/nowhere.toml: cannot be read: No such file or directory"),
        (["--signature", "java"], "--signature: signature: Input should be 'node', 'python' or 'raw'"),
        (["--latency", "-1"], "--latency: latency: seconds must not be negative"),
    ],
)
def test_a_wrong_option_ends_with_exit_code_2(options, message):
    done = run(*options)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_port_that_is_taken_ends_with_exit_code_1_and_a_reason(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("--port", port, "--truth", str(tmp_path / "truth.jsonl"))
    assert done.returncode == 1
    assert f"cannot start on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_value_set_later_is_checked_as_well():
    scenario = Scenario()
    with pytest.raises(ValidationError):
        scenario.webhook.double = 2
    with pytest.raises(ValidationError):
        scenario.webhook.dobule = 0.5


def test_credits_are_read_exactly():
    assert Outcome.model_validate({"credits": "0.527"}).credits == Decimal("0.527")
    assert Outcome.model_validate(tomllib.loads("credits = 0.1")).credits == Decimal("0.1")


def test_the_example_of_the_document_is_valid_and_not_the_default(tmp_path):
    examples = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert examples
    for number, example in enumerate(examples):
        path = tmp_path / f"{number}.toml"
        path.write_text(example)
        assert read_scenario(path) != Scenario()


def knobs(model: type[BaseModel], name: str = "") -> list[str]:
    found = []
    for key, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        found += knobs(inner, key) if inner else [f"{name}.{key}".lstrip(".")]
    return found


def test_every_knob_is_in_the_document():
    text = DOCUMENT.read_text("utf-8")
    missing = [knob for knob in knobs(Scenario) if f"`{knob.rpartition('.')[2]}`" not in text]
    assert missing == []
    for field in ("answer", "body", "webhook"):
        annotation = str(Rule.model_fields[field].annotation)
        for value in re.findall(r"'([a-z_0-9]+)'", annotation):
            assert f"`{value}`" in text, f"rules.{field} = {value}"
