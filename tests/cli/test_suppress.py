"""`dialer suppress` and `dialer person`: as an operator uses them."""

import hashlib
import json

import pytest

PHONE = "+14155550123"


async def enrolled(command, campaign_file, tmp_path, *phones):
    await command("campaign", "apply", campaign_file())
    people = tmp_path / "people.csv"
    people.write_text("phone,name\n" + "".join(f"{phone},Ada\n" for phone in phones))
    await command("contacts", "import", people, "--campaign", "promo")


async def test_a_number_is_added_checked_listed_and_lifted(command, campaign_file, tmp_path):
    await enrolled(command, campaign_file, tmp_path, PHONE)
    told = (await command("suppress", "add", "(415) 555-0123", "--region", "US", "--json")).data
    assert told == {"given": 1, "added": 1, "closed": 1}
    assert (await command("suppress", "add", PHONE, "--json")).data["added"] == 0
    (row,) = (await command("suppress", "list", "--json")).data
    assert (row["phone"], row["source"], row["campaign"]) == (PHONE, "manual", None)
    assert (await command("suppress", "check", PHONE, "--json")).data["suppressions"][0]["in_force"] is True
    refused = await command("suppress", "remove", PHONE, "--reason", " ", code=2)
    assert "needs a reason" in refused.err
    assert (await command("suppress", "remove", PHONE, "--reason", "by mistake", "--json")).data["lifted"]
    found = await command("suppress", "check", PHONE, "--json", code=1)
    assert found.data["lifted"][0]["why"] == "by mistake"


@pytest.mark.parametrize(
    ("option", "mend"),
    [
        (["add", "0123"], "has no country code"),
        (["add", PHONE, "--expires", "soon"], "neither a duration such as 90d nor an instant"),
        (["add", PHONE, "--expires", "2001-01-01T00:00:00Z"], "has passed"),
        (["add", PHONE, "--campaign", "none"], "no campaign is named"),
        (["add", PHONE, "--region", "ZZ"], "no ISO 3166 code"),
        (["import", "missing.csv"], "cannot be read"),
        (["remove", PHONE, "--reason", "x"], "is not suppressed everywhere"),
    ],
)
async def test_what_is_wrong_is_told_with_its_mend(command, option, mend):
    assert mend in " ".join((await command("suppress", *option, code=2)).err.split())


async def test_a_list_of_numbers_and_digests_is_imported_once_and_its_bad_rows_are_kept(
    command, campaign_file, tmp_path
):
    other = "+14155550124"
    await enrolled(command, campaign_file, tmp_path, PHONE, other)
    file = tmp_path / "dnc.txt"
    hashed = hashlib.sha256(other.encode()).hexdigest()
    file.write_text(f"{PHONE}\n\n{hashed}\nnobody\n{PHONE}\n")
    dry = (await command("suppress", "import", file, "--dry-run", "--json")).data
    assert (dry["given"], dry["added"], dry["rejected"]) == (4, 0, 1)
    told = (await command("suppress", "import", file, "--json")).data
    assert (told["given"], told["added"], told["closed"], told["rejected"]) == (4, 2, 1, 1)
    assert "4," in (tmp_path / "dnc.txt.rejects.csv").read_text().splitlines()[1]
    assert (await command("suppress", "import", file, "--json")).data["added"] == 0
    assert (await command("suppress", "check", other, "--json")).data["suppressions"][0][
        "algorithm"
    ] == "sha256"
    assert {row["source"] for row in (await command("suppress", "list", "--json")).data} == {"dnc.txt"}


async def test_a_list_with_a_header_is_read_by_the_column_of_its_numbers(command, tmp_path):
    file = tmp_path / "dnc.csv"
    file.write_text(f"since;Phone Number;why\n2026;{PHONE};asked\n2026;04151;asked\n")
    told = (await command("suppress", "import", file, "--region", "DE", "--expires", "30d", "--json")).data
    assert (told["given"], told["added"]) == (2, 2)
    rows = (await command("suppress", "list", "--json")).data
    assert all(row["expires_at"] for row in rows)


async def test_a_person_is_exported_and_erased(command, campaign_file, tmp_path, conn):
    await enrolled(command, campaign_file, tmp_path, PHONE)
    held = json.loads((await command("person", "export", PHONE)).out)
    assert held["contacts"][0]["name"] == "Ada"
    done = (await command("person", "erase", PHONE, "--reason", "asked", "--json")).data
    assert done == {"contacts": 1, "attempts": 0, "reports": 0, "events": 0, "notices": 0}
    assert json.loads((await command("person", "export", PHONE)).out)["contacts"] == []
    assert (await command("suppress", "check", PHONE, "--json")).data["suppressions"][0][
        "algorithm"
    ] == "keyed"
    people = tmp_path / "people.csv"
    await command("contacts", "import", people, "--campaign", "promo")
    assert await conn.fetchval("select count(*) from contacts where phone = $1", PHONE) == 1
