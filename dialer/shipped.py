"""The files that travel with the program: sql/, campaigns/ and config.example.toml.

An installed wheel carries them in `dialer/_shipped/`; in a checkout, an editable install included, they lie
beside the package. The wheel's place is looked at first: in site-packages, a neighbour named `sql` may be
somebody else's.
"""

from collections.abc import Callable
from pathlib import Path

from dialer.domain.errors import ConfigError

PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The shipped folder `name` ("sql" or "campaigns").

    Raises ConfigError when the installation lacks it.
    """
    return _find(name, Path.is_dir)


def file(name: str) -> Path:
    """The shipped file `name` ("config.example.toml").

    Raises ConfigError when the installation lacks it.
    """
    return _find(name, Path.is_file)


def _find(name: str, fits: Callable[[Path], bool]) -> Path:
    places = (PACKAGE / "_shipped" / name, PACKAGE.parent / name)
    for place in places:
        if fits(place):
            return place
    raise ConfigError(
        f"this installation lacks {name} (looked at {places[0]} and {places[1]}): install dialer again"
    )
