"""What runs the dialer elsewhere names settings, ports, metrics and alerts that there are."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from dialer.cli import program
from dialer.settings import Settings, unknown_environment
from dialer.settings.environment import known_environment
from dialer.web.metrics import Metrics

app = program()

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
OPERATING = (ROOT / "docs" / "operating.md").read_text()
SECRETS = {
    name.removeprefix("DIALER_").lower() for name in known_environment(frozenset({("agents", "SALES")}))
}


def metrics() -> set[str]:
    """The names of all that is measured."""
    shown = Metrics(None, None)  # type: ignore[arg-type]  # nothing is looked at
    return {f"{each.name}{'_total' * (each.type == 'counter')}" for each in shown.registry.collect()}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "dialer.service").read_text()
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
    text = re.sub(r"^(After|Wants)=.*\n", "", text, flags=re.MULTILINE)
    unit = tmp_path / "dialer.service"
    unit.write_text(text)
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    told = [line for line in ran.stderr.splitlines() if "dialer.service" in line]
    assert told == []


def test_the_unit_waits_longer_than_the_daemon_does_and_names_settings_that_there_are() -> None:
    text = (DEPLOY / "dialer.service").read_text()
    stop = re.search(r"^TimeoutStopSec=(\d+)", text, re.MULTILINE)
    assert stop
    assert int(stop[1]) > Settings().shutdown.grace.total_seconds()
    for name in re.findall(r"^LoadCredential=(\w+):", text, re.MULTILINE):
        assert name in SECRETS
    environment = dict(re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE))
    assert unknown_environment(environment) == []


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def test_the_compose_file_names_secrets_settings_and_ports_that_there_are() -> None:
    (compose,) = documents("compose.yaml")
    dialer = compose["services"]["dialer"]
    assert unknown_environment(dialer["environment"]) == []
    assert set(dialer["secrets"]) <= SECRETS
    assert set(dialer["secrets"]) | {"postgres_password"} == set(compose["secrets"])
    assert dialer["ports"] == [f"127.0.0.1:{Settings().webhook.port}:{Settings().webhook.port}"]
    assert int(dialer["stop_grace_period"].removesuffix("s")) > Settings().shutdown.grace.total_seconds()


def test_the_manifest_names_settings_and_ports_that_there_are_and_runs_as_nobody_special() -> None:
    deployment, service, budget = documents("kubernetes.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert unknown_environment({each["name"]: each["value"] for each in container["env"]}) == []
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"webhook": Settings().webhook.port, "console": Settings().console.port}
    assert {each["targetPort"] for each in service["spec"]["ports"]} == {"webhook"}, (
        "the console stays inside"
    )
    assert pod["securityContext"]["runAsUser"] == 10001, "as in the Dockerfile"
    assert "useradd --uid 10001" in (ROOT / "Dockerfile").read_text()
    assert pod["terminationGracePeriodSeconds"] > Settings().shutdown.grace.total_seconds()
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in pod["volumes"]}
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert budget["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels


def test_the_dashboard_and_the_alerts_ask_for_what_is_measured() -> None:
    board = json.loads((DEPLOY / "grafana.json").read_text())
    (alerts,) = documents("alerts.yaml")
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    named = {name for text in asked for name in re.findall(r"\bdialer_\w+", text)}
    assert named <= metrics()
    assert named >= metrics() - {"dialer_audit_duration_seconds"}, "all that is measured is shown or watched"


def test_the_runbook_has_a_chapter_for_each_alert_and_no_other() -> None:
    (alerts,) = documents("alerts.yaml")
    names = [rule["alert"] for group in alerts["groups"] for rule in group["rules"]]
    assert re.findall(r"^### (\w+)$", OPERATING, re.MULTILINE) == names


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.stem)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    for name in re.findall(r"`((?:deploy|docs|campaigns|bench|tests)/[\w./-]+\.\w+)`", page.read_text()):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.stem
)
def test_every_command_that_a_page_names_is_one(page: Path) -> None:
    known = get_command(app)
    for said in re.findall(r"`dialer ([a-z][a-z -]*)", page.read_text()):
        command: Any = known
        for word in said.split():
            if not hasattr(command, "commands") or word not in command.commands:
                assert command is not known, said
                break
            command = command.commands[word]
