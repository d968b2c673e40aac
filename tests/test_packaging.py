"""The wheel, built and installed elsewhere, carries all that the program needs at run time."""

import json
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]

# Runs where the wheel was unpacked: what it finds must lie there, and must work.
LOOK = """
import asyncio, json, sys
from pathlib import Path
import dialer
from dialer import shipped
from dialer.database.migrations import migrate, status
from dialer.database.pool import connect
import structlog

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

async def main():
    connection = await connect(sys.argv[1])
    migrations = shipped.folder("sql") / "migrations"
    applied = await migrate(connection, migrations)
    print(json.dumps({
        "package": dialer.__file__,
        "sql": str(shipped.folder("sql")),
        "campaigns": str(shipped.folder("campaigns")),
        "config": str(shipped.file("config.example.toml")),
        "applied": [one.file for one in applied],
        "tables": await connection.fetchval("select count(*) from pg_tables where schemaname = 'public'"),
    }))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


def files(folder: str) -> set[str]:
    found = (path for path in (CHECKOUT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(CHECKOUT).as_posix() for path in found if not path.name.endswith(".rejects.csv")}


def test_the_wheel_carries_every_file_of_sql_and_campaigns(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = files("sql") | files("campaigns") | {"config.example.toml"}
    assert "sql/schema.sql" in expected
    assert {f"dialer/_shipped/{name}" for name in expected} <= names
    assert files("dialer") <= names


def test_the_wheel_puts_nothing_beside_the_package(wheel: Path):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"dialer"}
    assert not [
        name for name in zipfile.ZipFile(wheel).namelist() if "tests" in name or name.endswith(".pyc")
    ]


def test_installed_elsewhere_it_finds_its_own_files_and_applies_its_migrations(
    wheel: Path, tmp_path: Path, blank: str
):
    target = tmp_path / "installed"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            "--target",
            target,
            wheel,
        ],
        check=True,
        capture_output=True,
    )
    # -I keeps the current folder and the environment out; the checkout's editable install comes after.
    ran = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(target)!r})\n{LOOK}", blank],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    shipped = target / "dialer" / "_shipped"
    assert told["package"] == str(target / "dialer" / "__init__.py")
    assert told["sql"] == str(shipped / "sql")
    assert told["campaigns"] == str(shipped / "campaigns")
    assert told["config"] == str(shipped / "config.example.toml")
    assert told["applied"] == sorted(path.name for path in (CHECKOUT / "sql/migrations").glob("*.sql"))
    assert told["tables"] > 5


def test_in_a_checkout_the_files_are_those_beside_the_package():
    from dialer import shipped

    assert shipped.folder("sql") == CHECKOUT / "sql"
    assert shipped.file("config.example.toml") == CHECKOUT / "config.example.toml"


@pytest.mark.parametrize("name", ["pyproject.tom", "sql"])
def test_what_was_not_shipped_is_an_error_that_names_it(name: str):
    from dialer import shipped
    from dialer.domain.errors import ConfigError

    with pytest.raises(ConfigError, match=f"lacks {name}"):
        shipped.file(name)


def test_the_program_says_which_it_is():
    program = Path(sys.executable).parent / "dialer"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"dialer {version('dialer')}\n"
