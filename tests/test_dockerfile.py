"""The Dockerfile without an engine: linted, and held against the files and names that it relies on."""

import fnmatch
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n", " ", TEXT).splitlines()
    if line.strip() and not line.startswith("#")
]
STAGES = [number for number, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM"]
FINAL = INSTRUCTIONS[STAGES[-1] :]


def final(word: str) -> str:
    """The argument of the one instruction `word` of the last stage."""
    (argument,) = [rest for name, rest in FINAL if name == word]
    return argument


def copied() -> list[str]:
    """What is copied from the checkout."""
    found = []
    for word, rest in INSTRUCTIONS:
        if word == "COPY" and not rest.startswith("--from"):
            found += rest.split()[:-1]
    return found


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps `path` out; the last line that fits decides."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        fits = any(
            fnmatch.fnmatch(part, pattern.removeprefix("**/"))
            if pattern.startswith("**/")
            else part == pattern
            for part in (
                [Path(path).name] if pattern.startswith("**/") else [path, *map(str, Path(path).parents)]
            )
        )
        if fits or pattern == "*":
            verdict = not line.startswith("!")
    return verdict


def test_the_linter_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [linter, "--failure-threshold", "style", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_exists_and_is_let_into_the_context() -> None:
    assert copied()
    for name in copied():
        assert (ROOT / name).exists(), name
        assert not ignored(name), name


def test_the_wheel_gets_every_file_that_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], project["project"]["readme"], "pyproject.toml"}
    assert needed <= {name.removeprefix("./") for name in copied()}


@pytest.mark.parametrize(
    "name", ["config.toml", ".venv", ".git", "dialer/.env", "demo-state", ".ci", "tests"]
)
def test_secrets_and_leftovers_stay_out_of_the_context(name: str) -> None:
    assert ignored(name)


def test_the_entry_is_the_console_script_and_the_commands_exist() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    entry = json.loads(final("ENTRYPOINT"))
    assert entry[0] in scripts
    health = json.loads(final("HEALTHCHECK").partition("CMD ")[2])
    assert health[0] == entry[0]
    # Both are exec forms, so that SIGTERM reaches the daemon and no shell is needed.
    for arguments in (json.loads(final("CMD")), health[1:]):
        program = Path(sys.executable).with_name(entry[0])
        done = subprocess.run([program, *arguments, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_it_runs_as_a_named_user_who_owns_the_state() -> None:
    uid = final("USER").split(":")[0]
    made = next(rest for word, rest in FINAL if word == "RUN" and "useradd" in rest)
    assert re.search(rf"useradd --uid {uid} .*\bdialer\b", made)
    (state,) = json.loads(final("VOLUME"))
    assert re.search(rf"install --directory --owner dialer [^&]*{state}", made)
    assert f"DIALER_STATE_DIR={state}" in final("ENV")
    assert final("STOPSIGNAL") == "SIGTERM"


def test_what_is_installed_comes_from_hash_locks_and_no_secret_is_in_it() -> None:
    installs = re.findall(r"pip install ([^&\n]*)", re.sub(r"\\\n", " ", TEXT))
    assert installs
    for arguments in installs:
        assert "--require-hashes" in arguments or "--no-deps /wheels" in arguments
    assert not re.search(r"(API_KEY|TOKEN|SECRET|PASSWORD)\s*=", TEXT)
