"""Digests of a number: those that lists of others hold, and the keyed one of a person who was erased.

A list hashes the number in E.164, with the plus or without it. There are only some ten thousand million numbers, so a
plain digest hides nothing from whoever tries them all; a keyed one does, as long as its secret is kept.
"""

import hashlib
import hmac
from enum import StrEnum
from typing import Final


class Algorithm(StrEnum):
    """How a number was hashed; equal to the CHECK in ``sql/migrations``."""

    SHA256 = "sha256"
    SHA1 = "sha1"
    MD5 = "md5"
    KEYED = "keyed"
    """HMAC-SHA256 with the database's own secret."""


_BY_LENGTH: Final = {64: Algorithm.SHA256, 40: Algorithm.SHA1, 32: Algorithm.MD5}


def read(text: str) -> tuple[Algorithm, bytes] | None:
    """A digest as a list writes it: 64, 40 or 32 hexadecimal digits; None: it is none."""
    algorithm = _BY_LENGTH.get(len(text))
    try:
        return None if algorithm is None else (algorithm, bytes.fromhex(text))
    except ValueError:
        return None


def plain(phone: str) -> list[bytes]:
    """Every digest under which a list may hold this number (E.164)."""
    forms = (phone.encode(), phone.removeprefix("+").encode())
    return [
        hashlib.new(name, form, usedforsecurity=False).digest()
        for name in ("sha256", "sha1", "md5")
        for form in forms
    ]


def keyed(phone: str, secret: bytes) -> bytes:
    """The digest under which an erased person stays suppressed."""
    return hmac.digest(secret, phone.encode(), "sha256")
