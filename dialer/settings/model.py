"""The settings as one frozen model; every key has its line in ``config.example.toml``.

An unknown key is a mistake at every level. Made directly, ``Settings(...)`` reads its arguments only;
``load`` adds the environment, the secrets and the file.
"""

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    ByteSize,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dialer.domain import duration
from dialer.settings.links import EventSource, Target, wrong_source, wrong_target
from dialer.settings.section import Section
from dialer.settings.values import (
    AgentName,
    BaseUrl,
    DatabaseUrl,
    FilledSecret,
    Folder,
    HeaderSecret,
    Host,
    Lines,
    OptionalUrl,
    Port,
    PositiveDuration,
    PostgresUrl,
    UrlPath,
    Words,
    ZoneName,
    is_loopback,
)


class SignatureForm(StrEnum):
    """The bytes a webhook signature may cover: the body, or it re-serialised as the samples do."""

    RAW = "raw"
    NODE = "node"
    PYTHON = "python"


class Database(Section):
    """Where Postgres is; sizes are connections for dialling, half as many more at most for console and sweeps."""

    url: PostgresUrl = SecretStr("")
    pool_min: Annotated[int, Field(ge=1, le=1000)] = 2
    pool_max: Annotated[int, Field(ge=2, le=1000)] = 10
    batch: Annotated[int, Field(ge=1, le=1000)] = 1000
    """How many calls, answers or reports one transaction takes at most; 1: a row at a time, to compare."""


class Calldock(Section):
    """The provider's API; ``timeout`` covers one whole request, ``connect_timeout`` the way to it."""

    base_url: BaseUrl = "https://api.calldock.co"
    timeout: PositiveDuration = timedelta(seconds=30)
    connect_timeout: PositiveDuration = timedelta(seconds=10)
    connections: Annotated[int, Field(ge=1, le=10_000)] = 100


class Agent(Section):
    """One Calldock agent: who it is, how its reports are signed, how fast it may call."""

    agent_id: Annotated[str, Field(min_length=1, pattern=r"^\S+$")]
    api_key: HeaderSecret
    allow_unsigned: bool = False
    webhook_secrets: Annotated[tuple[FilledSecret, ...], *Lines, Field(max_length=4)] = ()
    signature_forms: Annotated[tuple[SignatureForm, ...], *Words, Field(min_length=1)] = tuple(SignatureForm)
    calls_per_second: Annotated[Decimal, Field(gt=0, le=10_000)] = Decimal(1)
    max_live_calls: Annotated[int, Field(ge=1)] | None = None
    speed_lane: Annotated[Decimal, Field(ge=0, le=Decimal("0.9"))] = Decimal("0.2")
    credits_per_day: Annotated[Decimal, Field(ge=0)] | None = None

    @field_validator("webhook_secrets")
    @classmethod
    def _signed(cls, value: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        if not value and not info.data.get("allow_unsigned"):
            raise ValueError('is missing; copy the secret of the agent\'s webhook: webhook_secrets = ["…"]')
        return value


class Webhook(Section):
    """The door that the provider knocks at."""

    host: Host = "0.0.0.0"  # noqa: S104  # reports come from outside
    port: Port = 8080
    path: UrlPath = "/webhook"
    public_url: OptionalUrl = ""
    body_limit: Annotated[ByteSize, Field(ge=1024, le=64 << 20)] = ByteSize(1 << 20)
    spool_limit: Annotated[ByteSize, Field(ge=0, le=64 << 30)] = ByteSize(256 << 20)


class Console(Section):
    """The operator's door."""

    host: Host = "127.0.0.1"
    port: Port = 8081
    token: SecretStr = SecretStr("")


class Budget(Section):
    """Credits that all agents together may spend in a day of ``timezone``; agents' own days are of it too."""

    credits_per_day: Annotated[Decimal, Field(ge=0)] | None = None
    timezone: ZoneName = "UTC"


class Breakers(Section):
    """When an agent rests by itself, and is then probed by one call at a time.

    ``failures``: the part of the last requests (ten at least, within a minute) that may fail; 0: any. ``silence``: how
    long calls may be over without one report; 0s: for ever. ``silence_calls``: so many calls, at least.
    """

    failures: Annotated[float, Field(ge=0, le=1)] = 0.5
    silence: Annotated[timedelta, BeforeValidator(duration.read)] = timedelta(minutes=30)
    silence_calls: Annotated[int, Field(ge=1, le=10_000)] = 10
    credits_per_hour: Annotated[Decimal, Field(gt=0)] | None = None


class Correlation(Section):
    """What signs the token that each call carries, so that its report can be told from a stranger's."""

    secret: SecretStr = SecretStr("")


class Shutdown(Section):
    """How long SIGTERM waits for answers to requests already sent."""

    grace: PositiveDuration = timedelta(seconds=30)


class Log(Section):
    """What is written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class Telemetry(Section):
    """Where traces and errors are told; empty: nowhere. ``otlp_endpoint``: a collector, as http, without a path."""

    otlp_endpoint: Annotated[str, Field(pattern=r"^(https?://[^\s/]+/?)?$")] = ""
    sentry_dsn: SecretStr = SecretStr("")


class Settings(BaseSettings):
    """All of them, checked against one another."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
        env_prefix="DIALER_",
        env_nested_delimiter="__",
    )

    state_dir: Folder = Path("~/.local/state/dialer")
    campaigns_dir: Folder = Path("./campaigns")
    database: Database = Database()
    calldock: Calldock = Calldock()
    agents: dict[AgentName, Agent] = {}
    sources: dict[AgentName, EventSource] = {}
    targets: dict[AgentName, Target] = {}
    databases: dict[AgentName, DatabaseUrl] = {}
    webhook: Webhook = Webhook()
    console: Console = Console()
    budget: Budget = Budget()
    breakers: Breakers = Breakers()
    correlation: Correlation = Correlation()
    shutdown: Shutdown = Shutdown()
    log: Log = Log()
    telemetry: Telemetry = Telemetry()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @model_validator(mode="after")
    def _agreed(self) -> Self:
        found = list(self._contradictions())
        if found:
            # Carried as one error, because a validator may raise only one; `mistakes` takes it apart.
            raise PydanticCustomError("contradiction", "the settings disagree", {"found": found})
        return self

    def _contradictions(self) -> list[tuple[tuple[str, ...], str]]:
        found: list[tuple[tuple[str, ...], str]] = []
        owners: dict[str, str] = {}
        for name, agent in self.agents.items():
            owner = owners.setdefault(agent.agent_id, name)
            if owner != name:
                text = f"is the agent_id of [agents.{owner}] too; one Calldock agent has one section"
                found.append((("agents", name, "agent_id"), text))
            if agent.allow_unsigned and not is_loopback(self.webhook.host):
                text = 'is for development: it needs [webhook] host = "127.0.0.1"'
                found.append((("agents", name, "allow_unsigned"), text))
        for name, source in self.sources.items():
            if (wrong := wrong_source(name, source)) is not None:
                found.append((("sources", name), wrong))
        for name, target in self.targets.items():
            if (wrong := wrong_target(name, target)) is not None:
                found.append((("targets", name), wrong))
        if self.database.pool_min > self.database.pool_max:
            found.append((("database", "pool_min"), "must not be above pool_max"))
        if self.webhook.port == self.console.port:
            found.append((("console", "port"), "is the port of [webhook] too; give each its own"))
        if not is_loopback(self.console.host) and not self.console.token.get_secret_value():
            found.append((("console", "token"), "is missing; a console beyond this machine needs one"))
        return found
