"""The places that settings are read from, each made from what it is handed and never from the process.

Invariant: what cannot be read is a ConfigError that names the file or the variable, not its content.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource, NestedSecretsSettingsSource
from pydantic_settings.exceptions import SettingsError

from dialer.domain.errors import ConfigError
from dialer.settings.environment import FILE, PREFIX
from dialer.settings.lines import line_of
from dialer.settings.model import Settings


class Texts(EnvSettingsSource):
    """Settings from a mapping of names such as ``DIALER_LOG__LEVEL`` to texts."""

    def __init__(self, settings_cls: type[BaseSettings], texts: Mapping[str, str]) -> None:
        self._texts = {name.lower(): text for name, text in texts.items()}
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._texts


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that hold a setting themselves."""
    return {n: v for n, v in environ.items() if n.upper().startswith(PREFIX) and not n.upper().endswith(FILE)}


def environment_files(environ: Mapping[str, str]) -> dict[str, str]:
    """The content of the files that ``DIALER_…_FILE`` variables name, under the name without ``_FILE``."""
    texts = {}
    for name, value in environ.items():
        if name.upper().startswith(PREFIX) and name.upper().endswith(FILE):
            try:
                texts[name[: -len(FILE)]] = Path(value).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"{name}: {value}: {_reason(error)}; name a readable text file") from None
    return texts


def secrets_folders(environ: Mapping[str, str]) -> list[Path]:
    """The folders of secrets, lowest precedence first: systemd's credentials, then ``DIALER_SECRETS_DIR``."""
    folders = []
    for name in ("CREDENTIALS_DIRECTORY", "DIALER_SECRETS_DIR"):
        if value := environ.get(name):
            folder = Path(value).expanduser()
            try:
                for path in folder.iterdir():
                    if path.is_file():
                        path.read_bytes()
            except OSError as error:
                at = error.filename or value
                raise ConfigError(f"{name}: {at}: {_reason(error)}; name a readable folder") from None
            folders.append(folder)
    return folders


def secrets(settings_cls: type[BaseSettings], folders: list[Path]) -> NestedSecretsSettingsSource:
    """Files such as ``agents__sales__api_key``, each holding one value."""
    try:
        return NestedSecretsSettingsSource(
            settings_cls,  # type: ignore[arg-type]  # its own comment allows the class
            secrets_dir=list(folders),
            secrets_dir_missing="error",
            secrets_prefix="",
            secrets_nested_delimiter="__",
        )
    except (OSError, UnicodeDecodeError, SettingsError) as error:
        raise ConfigError(f"secrets folder: {_reason(error)}; one file a setting") from None


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """The tables of a TOML file, fractions as Decimal, and its text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return tomllib.loads(text, parse_float=Decimal), text
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}; texts need quotes, tables [brackets]") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {_reason(error)}; name a readable TOML file with --config") from None


def anchored(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """``data`` with its relative folders, the default of one left out too, counted from ``folder``."""
    named = {key: data.get(key, Settings.model_fields[key].default) for key in ("state_dir", "campaigns_dir")}
    paths = {key: str(value) for key, value in named.items() if isinstance(value, str | Path)}
    return data | {key: v if v.startswith("~") else str(folder / v) for key, v in paths.items()}


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    if isinstance(error, OSError):
        return (error.strerror or "cannot be read").lower()
    return str(error)


@dataclass(frozen=True, slots=True)
class Origins:
    """Knows where each key was set: the highest of the places that have it."""

    environ: Mapping[str, str]
    folders: tuple[Path, ...]
    path: Path | None
    text: str

    def __call__(self, key: Sequence[str]) -> str:
        """Such as ``DIALER_LOG__LEVEL`` or ``config.toml:12``."""
        for depth in range(len(key), 0, -1):
            flat = "__".join(key[:depth]).upper()
            for name in self.environ:
                if name.upper() in (PREFIX + flat, PREFIX + flat + FILE):
                    return name
            for folder in reversed(self.folders):
                for file in folder.iterdir():
                    if file.name.upper() == flat:
                        return os.fspath(file)
            line = line_of(self.text, key[:depth])
            if self.path is not None and line is not None:
                return f"{self.path}:{line}"
        # A key that is missing beside others of its section.
        beside = f"{PREFIX}{'__'.join(key[:2])}__".upper()
        for name in self.environ:
            if name.upper().startswith(beside):
                return name
        return os.fspath(self.path) if self.path is not None else "settings"
