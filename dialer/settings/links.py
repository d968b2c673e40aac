"""The sections that name other systems: who may send events, and who is told."""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Literal, Protocol, Self, get_args

from pydantic import AfterValidator, Field, SecretStr, model_validator

from dialer.domain.campaign import Campaign
from dialer.settings.section import Section
from dialer.settings.values import BaseUrl, FilledSecret, Lines

SourceKind = Literal["typeform", "stripe", "hubspot", "generic"]
TargetKind = Literal["slack", "hubspot", "webhook"]
SOURCE_KINDS: tuple[SourceKind, ...] = get_args(SourceKind)
TARGET_KINDS: tuple[TargetKind, ...] = get_args(TargetKind)

HUBSPOT = "https://api.hubapi.com"


def standard(secret: str) -> bool:
    """Whether a secret is one of Standard Webhooks: ``whsec_`` and base64."""
    if not secret.startswith("whsec_"):
        return False
    try:
        return bool(base64.b64decode(secret[6:] + "==", validate=False))
    except binascii.Error:
        return False


def _pair(value: SecretStr) -> SecretStr:
    if ":" not in value.get_secret_value():
        raise ValueError("is a name and a password with a colon between them: name:password")
    return value


class EventSource(Section):
    """A sender of events, at ``/hooks/NAME``. ``secrets`` sign, ``tokens`` and ``basic`` are shown; one suffices."""

    kind: SourceKind | None = None
    secrets: Annotated[tuple[FilledSecret, ...], *Lines, Field(max_length=4)] = ()
    tokens: Annotated[tuple[FilledSecret, ...], *Lines, Field(max_length=4)] = ()
    basic: Annotated[
        tuple[Annotated[FilledSecret, AfterValidator(_pair)], ...], *Lines, Field(max_length=4)
    ] = ()

    @model_validator(mode="after")
    def _is_verified(self) -> Self:
        if not (self.secrets or self.tokens or self.basic):
            raise ValueError("has no secret, and anybody could send events; write secrets, tokens or basic")
        return self


class Target(Section):
    """Who is told. ``url``: Slack's or a webhook's; ``token``: HubSpot's; ``secret`` signs a webhook (``whsec_…``)."""

    kind: TargetKind | None = None
    url: SecretStr = SecretStr("")
    token: SecretStr = SecretStr("")
    secret: SecretStr = SecretStr("")
    base_url: BaseUrl = HUBSPOT
    allow_private: bool = False


def missing(campaign: Campaign, settings: "Linked") -> list[str]:
    """What a campaign file names that the settings do not have, or cannot do, each with its mend."""
    told = []
    for number, trigger in enumerate(campaign.trigger, 1):
        for name in dict.fromkeys(filter(None, (trigger.source, trigger.cancel_source))):
            if name not in settings.sources:
                told.append(f"trigger[{number}]: {_no('sources', name, settings.sources)}")
    for number, notice in enumerate(campaign.notice, 1):
        target = settings.targets.get(notice.to)
        kind = None if target is None else target.kind or notice.to
        if target is None:
            told.append(f"notice[{number}]: {_no('targets', notice.to, settings.targets)}")
        elif kind == "hubspot" and notice.object is None:
            told.append(f'notice[{number}]: HubSpot needs an "object", an "id" and "properties"')
        elif kind != "hubspot" and notice.object is not None:
            told.append(f'notice[{number}]: "object" is HubSpot\'s, and {notice.to} is a {kind}')
    database = None if campaign.source is None else campaign.source.database
    if database is not None and database not in settings.databases:
        told.append(f"source: {_no('databases', database, settings.databases)}")
    return told


def _no(section: str, name: str, known: Mapping[str, object]) -> str:
    mend = f"{name} to [databases]" if section == "databases" else f"[{section}.{name}]"
    return f"the settings have no {section}.{name}; add {mend}; they have: {', '.join(known) or 'none'}"


class Linked(Protocol):
    """The settings, as far as campaigns name other systems in them."""

    @property
    def sources(self) -> Mapping[str, EventSource]: ...

    @property
    def targets(self) -> Mapping[str, Target]: ...

    @property
    def databases(self) -> Mapping[str, object]: ...


def wrong_source(name: str, source: EventSource) -> str | None:
    """What is wrong with a source of this name."""
    kind = source.kind or name
    if kind not in SOURCE_KINDS:
        return f'needs a kind, for its name is none: kind = "{SOURCE_KINDS[-1]}", or {", ".join(SOURCE_KINDS[:-1])}'
    if kind in ("typeform", "stripe") and not source.secrets:
        return f"needs secrets: {kind} signs what it sends"
    if kind in ("typeform", "stripe") and (source.tokens or source.basic):
        return f"takes secrets only: {kind} signs what it sends"
    if kind == "generic" and not all(standard(each.get_secret_value()) for each in source.secrets):
        return 'has a secret that is none of Standard Webhooks: "whsec_" and base64'
    return None


def wrong_target(name: str, target: Target) -> str | None:
    """What is wrong with a target of this name."""
    kind = target.kind or name
    url, secret = target.url.get_secret_value(), target.secret.get_secret_value()
    if kind not in TARGET_KINDS:
        return f'needs a kind, for its name is none: kind = "{TARGET_KINDS[-1]}", or {", ".join(TARGET_KINDS[:-1])}'
    if kind == "hubspot" and not target.token.get_secret_value():
        return "needs a token: that of a private app"
    if (
        kind != "hubspot"
        and not url.startswith("https://")
        and not (target.allow_private and url.startswith("http://"))
    ):
        return "needs a url that begins with https://"
    if kind == "webhook" and secret and not standard(secret):
        return 'has a secret that is none of Standard Webhooks: "whsec_" and base64'
    return None
