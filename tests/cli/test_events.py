"""`dialer events`, `trigger`, `outbox`, `source` and `contacts journey`: what an operator sees and mends."""

from pathlib import Path
from uuid import uuid4

SAMPLES = Path(__file__).parents[1] / "intake" / "samples"
CAMPAIGNS = Path(__file__).parents[2] / "campaigns"
PHONE = "+14155550123"
LINKS = """
[sources.typeform]
secrets = ["tf_hidden"]
[sources.stripe]
secrets = ["whsec_hidden_3"]
[sources.hubspot]
secrets = ["hs_hidden"]
[sources.shop]
kind = "generic"
tokens = ["shop_hidden"]
[targets.slack]
url = "https://hooks.slack.example/hidden"
[targets.hubspot]
token = "pat_hidden"
"""


def linked(settings_file: Path) -> None:
    settings_file.write_text(settings_file.read_text() + LINKS)


async def kept(conn, data, *, source="shop", state="ignored", reason=""):
    id_ = uuid4()
    await conn.execute(
        "insert into events (id, source, external_id, kind, data, received_at, state, reason)"
        " values ($1, $2, $3, 'order', $4, '2026-06-01T12:00:00Z', $5, $6)",
        id_, source, str(id_), data, state, reason,
    )  # fmt: skip
    return id_


async def test_an_event_is_tried_on_files_without_doing_anything(command, conn) -> None:
    """Before its secret is set up, too."""
    said = await command(
        "trigger", "test", SAMPLES / "typeform.json", "--source", "typeform",
        "--file", CAMPAIGNS / "request_demo.toml", "--json",
    )  # fmt: skip
    (event,) = said.data
    (act,) = event["campaigns"]
    assert (act["campaign"], act["act"], act["phone"]) == ("request-demo", "enrol", "+14155550142")
    assert act["key"] == "typeform:01HZXQ3M5N8K2V7B4C6D9F0G1H"
    assert await conn.fetchval("select count(*) from events") == 0
    assert await conn.fetchval("select count(*) from contacts") == 0


async def test_an_event_is_tried_on_what_is_in_force_and_says_why_it_cannot_be_read(
    command, campaign_file, settings_file, tmp_path
) -> None:
    linked(settings_file)
    trigger = '[[trigger]]\nsource = "shop"\nphone = "phone"\nwhen = { kind = "order" }'
    await command("campaign", "apply", campaign_file("promo", trigger))
    event = tmp_path / "event.json"
    event.write_text('{"kind": "order", "phone": "soon"}')
    said = await command("trigger", "test", event, "--source", "shop", code=1)
    assert "promo: unmapped phone is not a phone number" in said.out
    event.write_text('{"kind": "visit"}')
    assert "no campaign wants it" in (await command("trigger", "test", event, "--source", "shop")).out
    event.write_text("{")
    assert "the body is not JSON" in (await command("trigger", "test", event, "--source", "shop", code=2)).err
    said = await command("trigger", "test", tmp_path / "none", "--source", "shop", code=2)
    assert "cannot be read: No such file" in said.err
    said = await command("trigger", "test", event, "--source", "crm", code=2)
    assert "no [sources.crm]; they have: typeform, stripe, hubspot, shop" in said.err


async def test_the_shipped_campaigns_apply_as_they_are_once_their_senders_and_targets_are_set_up(
    command, settings_file
) -> None:
    files = [
        CAMPAIGNS / f"{name}.toml"
        for name in ("request_demo", "payment_feedback", "hot_leads", "summer_promo")
    ]
    said = await command("campaign", "apply", *files, code=2)
    assert (
        "request_demo.toml: trigger[1]: the settings have no sources.typeform; add [sources.typeform]"
        in said.err
    )
    assert "hot_leads.toml: notice[1]: the settings have no targets.hubspot" in said.err
    linked(settings_file)
    said = await command("campaign", "apply", *files, "--json")
    assert {each["campaign"] for each in said.data} == {
        "request-demo",
        "payment-feedback",
        "hot-leads",
        "summer-promo",
    }


async def test_events_are_listed_shown_and_replayed_once_the_campaign_was_mended(
    command, conn, campaign_file, settings_file
) -> None:
    linked(settings_file)
    assert "no event yet" in (await command("events", "list")).err
    data = {"kind": "order", "tel": PHONE, "who": "[b]Ada[/b]"}
    event = await kept(conn, data, state="unmapped", reason="promo: phone: there is nothing at phone")
    await kept(conn, {"kind": "visit"})
    rows = (await command("events", "list", "--json")).data
    assert sorted((row["state"], row["contacts"]) for row in rows) == [("ignored", 0), ("unmapped", 0)]
    table = (await command("events", "list", "--state", "unmapped", "--source", "shop")).out
    assert str(event) in table
    assert "there is nothing at phone" in table
    assert "[b]Ada[/b]" in (await command("events", "show", event)).out
    trigger = '[[trigger]]\nsource = "shop"\nphone = "tel"\nname = "who"\nwhen = { kind = "order" }'
    await command("campaign", "apply", campaign_file("promo", trigger))
    said = await command("events", "replay", "--unmapped", "--json")
    assert [each["campaigns"][0]["act"] for each in said.data] == ["enrol"]
    said = await command("events", "replay", event)
    assert "promo: present" in said.out
    shown = (await command("events", "show", event, "--json")).data
    assert (shown["state"], shown["reason"], len(shown["contacts"])) == ("taken", "", 1)
    assert await conn.fetchval("select phone from contacts") == PHONE
    assert "no event has the id" in (await command("events", "show", uuid4(), code=2)).err
    assert "name the events" in (await command("events", "replay", code=2)).err


async def called(command, conn, campaign_file, notice=""):
    """A contact of an event with one reported call."""
    event = await kept(conn, {"phone": PHONE}, state="taken")
    await command("campaign", "apply", campaign_file("promo", notice))
    campaign = await conn.fetchval("select id from campaigns")
    contact, attempt = uuid4(), uuid4()
    await conn.execute(
        "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at, tries, attempts,"
        " closed_at, disposition, reason, event_id)"
        " values ($1, $2, 'k', $3, 'closed', '2026-06-01', '2026-06-01', '2026-06-01T12:00:00Z', 1, 1,"
        " '2026-06-01T12:05:00Z', 'answered', 'answered', $4)",
        contact, campaign, PHONE, event,
    )  # fmt: skip
    await conn.execute(
        "insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, reserved,"
        " daemon, began_at, slot_at, resolve_at, disposition, credits, closed_at, report_id)"
        " values ($1, $2, $3, 1, 'sales', $4, 1, 'reported', 0, $1, '2026-06-01T12:01:00Z', '2026-06-01T12:01:00Z',"
        " null, 'answered', 0.527, '2026-06-01T12:05:00Z', $1)",
        attempt, contact, campaign, PHONE,
    )  # fmt: skip
    notice_id = uuid4()
    await conn.execute(
        "insert into outbox (id, target, campaign_id, contact_id, attempt_id, rule, disposition, message, state, tries,"
        " due_at, detail, created_at, ended_at)"
        " values ($1, 'slack', $2, $3, $4, 0, 'answered', $5, 'dead', 3, '2026-06-01', 'HTTP 404: no_service',"
        " '2026-06-01T12:05:00Z', '2026-06-01T12:06:00Z')",
        notice_id, campaign, contact, attempt, {"text": "*Ada* [red]said[/red] yes"},
    )  # fmt: skip
    return contact, notice_id


async def test_dead_notices_are_listed_with_what_was_said_and_sent_again(
    command, conn, campaign_file
) -> None:
    assert "no notice yet" in (await command("outbox", "list")).err
    _, notice = await called(command, conn, campaign_file)
    (row,) = (await command("outbox", "list", "--state", "dead", "--json")).data
    assert (row["id"], row["detail"], row["tries"]) == (str(notice), "HTTP 404: no_service", 3)
    assert "the settings have no [targets.slack]" in (await command("outbox", "list")).out
    assert "[red]said[/red]" in (await command("outbox", "show", notice)).out
    assert "1 wait to be sent" in (await command("outbox", "replay", "--all")).err
    assert "0 wait" in (await command("outbox", "replay", notice)).err
    row = await conn.fetchrow("select state, tries, ended_at from outbox")
    assert tuple(row) == ("waiting", 0, None)
    assert "write waiting, sent or dead" in (await command("outbox", "list", "--state", "lost", code=2)).err


async def test_a_persons_way_is_told_in_one_command(command, conn, campaign_file) -> None:
    contact, _ = await called(command, conn, campaign_file)
    follower = uuid4()
    await conn.execute(
        "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at, parent_id, depth)"
        " select $1, id, 'f', $2, 'waiting', '2026-06-02T12:00:00Z', '2026-06-02T12:00:00Z', '2026-06-01T12:05:00Z',"
        " $3, 1 from campaigns",
        follower, PHONE, contact,
    )  # fmt: skip
    for asked in (contact, follower, PHONE):
        told = (await command("contacts", "journey", asked)).out.splitlines()
        assert [line.strip().partition("  ")[2] or line.strip() for line in told] == [
            told[0].strip().partition("  ")[2],
            f"promo: enrolled, agent sales, contact {contact}",
            "call 1: answered, 0.527 credits",
            "slack told: dead HTTP 404: no_service",
            "closed: answered answered",
            f"promo: enrolled, agent sales, contact {follower}",
            "waiting, due 2026-06-02 12:00:00Z",
        ]
        assert "event of shop: order" in told[0]
    steps = (await command("contacts", "journey", PHONE, "--json")).data
    assert [step["depth"] for step in steps] == [0, 1]
    assert "no contact has this number" in (await command("contacts", "journey", "+14155550199", code=2)).err


async def test_a_table_is_listed_with_its_rows_that_cannot_be_called(command, conn, campaign_file) -> None:
    assert "no table yet" in (await command("source", "list")).err
    await command("campaign", "apply", campaign_file("promo", '[source]\ntable = "crm.leads"'))
    await conn.execute(
        "insert into sources (campaign_id, definition, next_at, trailed_at, error)"
        " select id, '{\"table\": \"crm.leads\"}', now(), now(), 'there is no table' from campaigns"
    )
    await conn.execute(
        "insert into source_rejects select id, '7', 'phone is not a phone number', now() from campaigns"
    )
    (row,) = (await command("source", "list", "--json")).data
    assert (row["campaign"], row["rejects"], row["error"]) == ("promo", 1, "there is no table")
    assert "crm.leads" in (await command("source", "list")).out
    assert "phone is not a phone number" in (await command("source", "rejects", "promo")).out


async def test_a_follow_up_that_leads_nowhere_or_in_a_ring_is_refused_at_plan_and_apply(
    command, campaign_file
) -> None:
    file = campaign_file("a", '[[follow_up]]\nwhen = { closed = true }\ncampaign = "b"')
    for verb in ("plan", "apply"):
        assert "campaign 'b' is not applied" in (await command("campaign", verb, file, code=2)).err
    ring = campaign_file("b", '[[follow_up]]\nwhen = { closed = true }\ncampaign = "a"')
    for verb in ("plan", "apply"):
        assert "is a ring without an end" in (await command("campaign", verb, file, ring, code=2)).err
