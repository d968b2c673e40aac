"""Reads the settings from all their places at once, and names all their mistakes at once."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource
from pydantic_settings.exceptions import SettingsError

from dialer.domain.errors import ConfigError
from dialer.settings import sources
from dialer.settings.mistakes import Mistakes, describe
from dialer.settings.model import Settings


def config_path(path: Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file to read: ``path``, else ``DIALER_CONFIG``, else ``./config.toml`` if it is there, else none.

    Raises ConfigError when a file that was named does not exist.
    """
    named = path or (Path(environ["DIALER_CONFIG"]) if environ.get("DIALER_CONFIG") else None)
    if named is None:
        here = Path("config.toml")
        return here if here.exists() else None
    named = named.expanduser()
    if not named.is_file():
        by = "--config" if path else "DIALER_CONFIG"
        raise ConfigError(f"{named}: there is no such file ({by}); copy config.example.toml and fill it in")
    return named


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force: environment over ``_FILE`` over secrets folders over TOML over defaults.

    Raises Mistakes, a ConfigError, with a sentence for each mistake: place, key, problem, mend.
    """
    file = config_path(path, environ)
    data, text = sources.read_toml(file) if file else ({}, "")
    folders = sources.secrets_folders(environ)
    texts = sources.environment(environ)
    files = sources.environment_files(environ)

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (
                init_settings,
                sources.Texts(settings_cls, texts),
                sources.Texts(settings_cls, files),
                sources.secrets(settings_cls, folders),
                InitSettingsSource(settings_cls, sources.anchored(data, file.parent) if file else {}),
            )

    try:
        return Loaded()
    except ValidationError as error:
        raise describe(error, sources.Origins(environ, tuple(folders), file, text)) from None
    except SettingsError:
        # Raised for a whole section or list given as text; its cause holds the text, so it is dropped.
        raise Mistakes([_not_json(texts | files)]) from None


def _not_json(texts: Mapping[str, str]) -> str:
    """Names the variables that should hold a section and do not; never what they hold."""
    names = [name for name, text in texts.items() if name.upper() in _SECTIONS and not _is_json(text)]
    where = ", ".join(sorted(names)) or "secrets folder"
    return f'{where}: not JSON; a section as a whole is written {{"key": "value"}}'


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


_SECTIONS = frozenset(f"DIALER_{name.upper()}" for name in Settings.model_fields) - {
    "DIALER_STATE_DIR",
    "DIALER_CAMPAIGNS_DIR",
}
