"""`dialer token`: who may use the API."""

import hashlib


async def test_a_token_is_shown_once_kept_as_a_digest_listed_and_revoked(command, conn) -> None:
    assert "no token yet" in (await command("token", "list")).err
    given = (await command("token", "add", "ci", "--role", "operator", "--expires", "90d", "--json")).data
    assert given["role"] == "operator"
    kept = await conn.fetchrow("select digest, role, expires_at - created_at as lasts from tokens")
    assert kept["digest"] == hashlib.sha256(given["secret"].encode()).digest()
    assert (kept["role"], kept["lasts"].days) == ("operator", 90)
    assert "is in force" in (await command("token", "add", "ci", code=2)).err
    listed = await command("token", "list")
    assert "operator" in listed.out
    assert given["secret"] not in listed.out
    assert "opens nothing any more" in (await command("token", "revoke", "ci")).err
    assert "no token named ci" in (await command("token", "revoke", "ci", code=2)).err
    again = await command("token", "add", "ci")
    assert again.out.startswith("dialer_")


async def test_a_lifetime_that_is_none_is_refused(command) -> None:
    assert "--expires soon" in (await command("token", "add", "ci", "--expires", "soon", code=2)).err
