"""`dialer campaign plan NAME` and `dialer contacts why`."""

import pytest


async def campaign(
    command, campaign_file, tmp_path, text="", phones=("+12125550114", "+442079460018", "+919812345678")
):
    await command("campaign", "apply", campaign_file(text=text))
    people = tmp_path / "people.csv"
    people.write_text("phone,name\n" + "".join(f"{phone},Ada\n" for phone in phones))
    await command("contacts", "import", people, "--campaign", "promo")


async def test_the_outlook_of_a_campaign_says_who_when_and_how_much(command, campaign_file, tmp_path):
    await campaign(command, campaign_file, tmp_path)
    told = (await command("campaign", "plan", "promo", "--assume", "answered=1", "--json")).data
    assert (told["people"], told["now"] + told["later"], told["never"]) == (3, 3, 0)
    assert told["calls"] == 3
    assert float(told["credits_least"]) <= float(told["credits"]) <= float(told["credits_most"])
    assert told["finish"] is not None
    text = await command("campaign", "plan", "promo")
    assert "3 people wait" in text.out
    assert "no consent is asked for" in text.err


async def test_who_can_never_be_called_is_counted_with_the_reason(command, campaign_file, tmp_path):
    await campaign(command, campaign_file, tmp_path, text='[rules]\npurpose = "marketing"')
    await command("suppress", "add", "+442079460018", "--campaign", "promo")
    told = (await command("campaign", "plan", "promo", "--json")).data
    assert (told["people"], told["never"]) == (2, 2)
    assert all(reason.startswith("no consent") for reason in told["reasons"])


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        (["nobody"], "no campaign is named"),
        (["promo", "--assume", "answered"], "write an ending and its share"),
        (["promo", "--assume", "answered=0"], "at least one share"),
        (["missing.toml"], "cannot be read"),
    ],
)
async def test_what_is_wrong_is_told_with_its_mend(command, campaign_file, tmp_path, arguments, mend):
    await campaign(command, campaign_file, tmp_path)
    assert mend in (await command("campaign", "plan", *arguments, code=2)).err


async def test_why_names_every_rule_and_the_history(command, campaign_file, tmp_path):
    await campaign(command, campaign_file, tmp_path, text="[caps]\nper_number_per_day = 2")
    (row,) = (await command("contacts", "why", "+12125550114", "--json")).data
    rules = {rule["rule"]: rule for rule in row["rules"]}
    assert rules["campaign"]["reason"] == "the campaign is draft"
    assert rules["cap of a day"]["values"]["per_number_per_day"] == 2
    assert rules["calling window"]["values"]["packs"] == ["us"]
    assert row["next_at"] is None
    text = (await command("contacts", "why", "+12125550114")).out
    assert "the campaign is draft" in text
    assert "calling window" in text
