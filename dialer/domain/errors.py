"""The exceptions of the house.

    DialerError
    ├── ConfigError      a setting, a campaign file or an input is wrong; names file, key and mend
    ├── MigrationError   an applied migration was changed, or the database is newer than the program
    ├── DatabaseError    Postgres cannot be started or reached
    └── ReportError      a webhook that is refused
        ├── BadSignature   → 401
        └── Malformed      → 400

Expected outcomes are values, never exceptions.
"""


class DialerError(Exception):
    """The dialer cannot go on."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class ConfigError(DialerError):
    """The configuration is wrong."""


class MigrationError(DialerError):
    """The database and the program do not fit together."""


class DatabaseError(DialerError):
    """The database cannot be started or reached."""


class ReportError(DialerError):
    """The webhook is refused."""


class BadSignature(ReportError):
    """Invalid signature."""


class Malformed(ReportError):
    """The body is not a report."""
