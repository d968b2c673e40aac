"""The kinds of values that settings hold, each with its own wording of what is wrong.

Texts that come from the environment or from a file are split where a list is wanted; values of secrets never
enter a message.
"""

import ipaddress
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints
from pydantic_settings import NoDecode

from dialer.domain import duration
from dialer.domain.campaign import zone_name

# RFC 9110 section 5.5: what may stand in a field value without being folded or quoted
_HEADER = re.compile(r"[\x21-\x7e]+")


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta():
        raise ValueError("must be longer than 0s")
    return value


PositiveDuration = Annotated[timedelta, BeforeValidator(duration.read), AfterValidator(_positive)]


def _expanded(value: Path) -> Path:
    try:
        return value.expanduser().absolute()
    except RuntimeError:
        raise ValueError("~ cannot be resolved for this user; write the whole path") from None


def _zone(value: str) -> str:
    return zone_name(value)


ZoneName = Annotated[str, AfterValidator(_zone)]
Folder = Annotated[Path, AfterValidator(_expanded)]


def _split(separators: str) -> Callable[[object], object]:
    def split(value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            try:
                return json.loads(value)
            except ValueError:
                raise ValueError('starts with "[" and is not a JSON list') from None
        return [part for part in re.split(separators, value) if part]

    return split


# One a line (or a JSON list), because a secret may hold a comma.
Lines = (NoDecode, BeforeValidator(_split(r"[\r\n]+")))
Words = (NoDecode, BeforeValidator(_split(r"[,\s]+")))


def _header(value: SecretStr) -> SecretStr:
    if not _HEADER.fullmatch(value.get_secret_value()):
        raise ValueError("must be printable ASCII without blanks, and not empty")
    return value


def _filled(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.strip() or text != text.strip():
        raise ValueError("must not be empty, nor begin or end with a blank")
    return value


HeaderSecret = Annotated[SecretStr, AfterValidator(_header)]
FilledSecret = Annotated[SecretStr, AfterValidator(_filled)]


def _postgres(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if text and not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("must begin with postgresql://, or be empty for the embedded database")
    return value


PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres)]
DatabaseUrl = Annotated[FilledSecret, AfterValidator(_postgres)]


def _base(value: str) -> str:
    try:
        parts = urlsplit(value)
        port_is_readable = parts.port is None or parts.port > 0
    except ValueError:
        port_is_readable = False
    if not port_is_readable or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not an address; write https://HOST[:PORT]")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must hold no user, query or fragment; write https://HOST[:PORT][/PATH]")
    return value.rstrip("/")


def _base_or_empty(value: str) -> str:
    return _base(value) if value else value


BaseUrl = Annotated[str, AfterValidator(_base)]
OptionalUrl = Annotated[str, AfterValidator(_base_or_empty)]


def _path(value: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value) or value == "/healthz":
        raise ValueError(f'{value!r} cannot be the path; write such as "/webhook", not "/healthz"')
    return value


UrlPath = Annotated[str, AfterValidator(_path)]
Host = Annotated[str, StringConstraints(min_length=1, pattern=r"^[A-Za-z0-9.:_-]+$")]
Port = Annotated[int, Field(ge=1, le=65535)]
AgentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*([_-][a-z0-9]+)*$")]


def is_loopback(host: str) -> bool:
    """Whether ``host`` can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
