"""`dialer top` and `dialer doctor`: for people on a terminal, and for programs."""


async def test_one_look_tells_how_everything_stands(command, conn, campaign_file):
    await command("campaign", "apply", campaign_file("promo"))
    told = (await command("top", "--json")).data
    assert [row["agent"] for row in told["agents"]] == ["care", "sales"]
    assert [(row["name"], row["state"], row["late"]) for row in told["campaigns"]] == [
        ("promo", "draft", 0.0)
    ]
    said = (await command("top")).out
    assert "no daemon runs: dialer run" in said
    assert "promo" in said
    await conn.execute(
        "update agents set state = 'paused', reason = '[the key] is refused' where name = 'care'"
    )
    assert "[the key] is refused" in (await command("top", "--once")).out


async def test_the_doctor_knows_agents_and_says_when_nothing_was_seen(command):
    ran = await command("doctor", "--json")
    assert [(each["agent"], each["calls"]) for each in ran.data] == [("sales", 0), ("care", 0)]
    assert "dialer call" in (await command("doctor", "--agent", "sales")).out
    ran = await command("doctor", "--agent", "nobody", code=2)
    assert "known are: sales, care" in ran.err
