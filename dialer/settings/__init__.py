"""What an operator sets: one TOML file, the environment, files of secrets.

Precedence, highest first: arguments, ``DIALER_…__…``, ``DIALER_…_FILE``, secrets folders, TOML, defaults.
Nothing here is mutable, and no text made here holds the value of a secret.
"""

from dialer.settings.environment import unknown_environment
from dialer.settings.links import EventSource, Target
from dialer.settings.load import config_path, load
from dialer.settings.mistakes import Mistakes
from dialer.settings.model import (
    Agent,
    Breakers,
    Budget,
    Calldock,
    Console,
    Correlation,
    Database,
    Log,
    Settings,
    Shutdown,
    SignatureForm,
    Telemetry,
    Webhook,
)
from dialer.settings.values import is_loopback

__all__ = [
    "Agent",
    "Breakers",
    "Budget",
    "Calldock",
    "Console",
    "Correlation",
    "Database",
    "EventSource",
    "Log",
    "Mistakes",
    "Settings",
    "Shutdown",
    "SignatureForm",
    "Target",
    "Telemetry",
    "Webhook",
    "config_path",
    "is_loopback",
    "load",
    "unknown_environment",
]
