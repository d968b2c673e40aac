"""A statement that writes a batch finds each row by an index, or all by a hash: it holds no row against every other.

Two hundred rows against two hundred are forty thousand comparisons, in every transaction, and nothing shows it but the
time. Dialling and the door plan for all values alike, and Postgres then takes a batch for ten rows.
"""

import json
import re

import pytest

from dialer.database.queries import load

BATCHES = [
    ("attempts", "begin_attempts"),
    ("attempts", "settle_attempts"),
    ("attempts", "note_answers"),
    ("attempts", "report_attempts"),
    ("attempts", "rescue_attempts"),
    ("contacts", "defer_contacts"),
    ("contacts", "close_waiting"),
    ("contacts", "release_contacts"),
    ("contacts", "count_attempts"),
    ("ledger", "book"),
    ("reports", "insert_reports"),
    ("reports", "known_reports"),
    ("reports", "match_reports"),
    ("reports", "postpone_replays"),
]

FILLED = """
insert into campaigns (id, name, agent, state, version, created_at, changed_at)
select gen_random_uuid(), 'c' || i, 'sales', 'active', 1, now(), now() from generate_series(1, 2) i;
insert into contacts (id, campaign_id, key, phone, zones, state, asked_at, due_at, created_at)
select gen_random_uuid(), c.id, i, '+1646' || 1000000 + i, '{UTC}', 'waiting', now(), now(), now()
from campaigns c, generate_series(1, 2000) i;
insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, reserved, daemon,
                      began_at, slot_at, resolve_at, closed_at)
select gen_random_uuid(), c.id, campaign_id, 1, 'sales', phone, 1, s.state, 0, gen_random_uuid(), now(), now(), now(),
       case s.state when 'not_placed' then now() end
from contacts c join campaigns p on p.id = c.campaign_id,
     lateral (select case p.name when 'c1' then 'dialing' else 'not_placed' end) s(state);
insert into reports (id, agent, type, key, body, sha256, form, received_at, state)
select gen_random_uuid(), 'sales', 'post_call', id, '', '', 'raw', now(), 'unmatched' from contacts;
analyze;
"""


def against_all(node: dict) -> list[str]:
    """What a plan reads as a whole for every single row of something else."""
    whole = node["Node Type"] == "Nested Loop" and "Join Filter" in node
    found = [node["Plans"][1]["Node Type"]] if whole else []
    return found + [each for child in node.get("Plans", []) for each in against_all(child)]


@pytest.mark.parametrize(("file", "name"), BATCHES)
async def test_no_row_is_held_against_every_other(conn, file, name):
    await conn.execute(FILLED)
    await conn.execute("set plan_cache_mode = force_generic_plan")
    query = getattr(load(file), name).sql
    await conn.execute(f"prepare batch as {query}")
    nothing = ", ".join("null" for _ in set(re.findall(r"\$\d+", query)))
    [told] = await conn.fetchval(f"explain (format json) execute batch({nothing})")
    assert not against_all(told["Plan"]), json.dumps(told, indent=1)
