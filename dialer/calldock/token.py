"""Our mark on a call: ``<attempt id>.<hmac>``, sent in its metadata and looked for in its report.

Signed, so that nobody who can write into a call's metadata can close another attempt; 16 bytes of HMAC-
SHA256.
"""

import hmac
import re
from uuid import UUID

TOKEN = re.compile(
    r"(?<![0-9A-Za-z.-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9a-f]{32}(?![0-9A-Za-z])",
    re.IGNORECASE,
)
"""The shape of a token inside a text."""

HINT = re.compile(r"-[0-9A-Fa-f]{12}\.[0-9A-Fa-f]{32}")
"""Without this there is no token in a text: it begins with one letter, which is found much faster in a long one."""


def make_token(attempt_id: UUID, secret: bytes) -> str:
    """The token of one attempt. Raises ValueError for an empty secret."""
    if not secret:
        raise ValueError("a token needs a secret")
    seal = hmac.digest(secret, b"dialer attempt " + attempt_id.bytes, "sha256")[:16]
    return f"{attempt_id}.{seal.hex()}"


def read_token(token: str, secret: bytes) -> UUID | None:
    """The attempt that ``token`` names, or None if it is not one of ours. Constant time in the seal."""
    if not TOKEN.fullmatch(token):
        return None
    attempt_id = UUID(token[:36])
    same = hmac.compare_digest(make_token(attempt_id, secret).encode(), token.lower().encode())
    return attempt_id if same else None
