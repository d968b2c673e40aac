"""The locks name every package by version and hash, cover what is declared, and tell no address."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock", "requirements-bench.lock")
PIN = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>[0-9][0-9a-z.]*)( ; [^\\\n]+)? "
    r"(\\\n    --hash=sha256:[0-9a-f]{64} ?)+\n",
    re.MULTILINE,
)


def pins(lock: str) -> dict[str, str]:
    return {found["name"]: found["version"] for found in PIN.finditer((ROOT / lock).read_text())}


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def extras(of: dict[str, Any], *names: str) -> list[str]:
    return [each for name in names for each in of["project"]["optional-dependencies"][name]]


def meets(version: str, requirement: str) -> bool:
    """Whether `version` meets the `>=`, `<` and `==N.*` of our own requirements."""

    def number(text: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", text)]

    for sign, bound in re.findall(r"(>=|<|==)\s*([\d.]+)", requirement.split(";", maxsplit=1)[0]):
        here, there = number(version), number(bound)
        if (sign == ">=" and here < there) or (sign == "<" and here >= there):
            return False
        if sign == "==" and here[: len(there)] != there:
            return False
    return True


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_nothing_but_pins_with_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert pins(lock)
    assert PIN.sub("", text) == ""


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_tells_no_address_and_no_path(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert re.findall(r"https?:|file:|@|--index|--find-links|--extra|(?<![\\ ])/", text) == []


@pytest.mark.parametrize(
    ("lock", "declared"),
    [
        ("requirements.lock", lambda p: p["project"]["dependencies"]),
        ("requirements-build.lock", lambda p: p["build-system"]["requires"]),
        (
            "requirements-dev.lock",
            lambda p: p["project"]["dependencies"] + extras(p, "otel", "sentry", "dev"),
        ),
        (
            "requirements-bench.lock",
            lambda p: p["project"]["dependencies"] + extras(p, *p["project"]["optional-dependencies"]),
        ),
    ],
)
def test_what_is_declared_is_locked_at_a_version_that_meets_it(lock: str, declared: Any) -> None:
    locked = pins(lock)
    for requirement in declared(project()):
        if requirement.startswith("dialer["):
            continue  # its own extras, which are among them
        name = re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower().replace("_", "-")  # type: ignore[index]
        assert name in locked, f"{requirement}: run make lock"
        assert meets(locked[name], requirement), f"{requirement}: {lock} has {locked[name]}; run make lock"


def test_a_version_outside_its_bounds_would_be_seen() -> None:
    assert meets("3.11.3", ">=3.11.3,<4")
    assert not meets("3.11.2", ">=3.11.3,<4")
    assert not meets("4.0", ">=3.11.3,<4")
    assert meets("0.6.1", "==0.6.*")
    assert not meets("0.7.0", "==0.6.*")


def test_the_locks_agree_with_one_another() -> None:
    *parts, dev, bench = LOCKS
    for lock, whole in [*((part, dev) for part in parts), (dev, bench)]:
        assert pins(lock).items() <= pins(whole).items(), f"{lock} and {whole} differ; run make lock"


def test_an_editable_install_finds_its_builder_in_the_build_lock() -> None:
    assert {"hatchling", "editables"} <= pins("requirements-build.lock").keys()
