"""What a campaign names of the settings must be there, and be able to do it."""

from pathlib import Path

import pytest

from dialer.domain.campaign import Campaign
from dialer.settings import load
from dialer.settings.links import missing

SETTINGS = """
[sources.stripe]
secrets = ["whsec_x"]
[targets.slack]
url = "https://hooks.slack.example/x"
[targets.crm]
kind = "hubspot"
token = "t"
[databases]
crm = "postgresql://a/b"
"""


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"trigger": [{"source": "stripe", "phone": "p"}]}, None),
        (
            {"trigger": [{"source": "strip", "phone": "p"}]},
            "trigger[1]: the settings have no sources.strip; add [sources.strip]; they have: stripe",
        ),
        (
            {"trigger": [{"source": "stripe", "phone": "p", "cancel_on": {"a": 1}, "cancel_source": "shop"}]},
            "trigger[1]: the settings have no sources.shop",
        ),
        ({"notice": [{"to": "slack"}]}, None),
        ({"notice": [{"to": "slack"}, {"to": "teams"}]}, "notice[2]: the settings have no targets.teams"),
        ({"notice": [{"to": "crm"}]}, 'notice[1]: HubSpot needs an "object"'),
        ({"notice": [{"to": "crm", "object": "deals", "id": "1", "properties": {"a": "b"}}]}, None),
        (
            {"notice": [{"to": "slack", "object": "deals", "id": "1", "properties": {"a": "b"}}]},
            'notice[1]: "object" is HubSpot\'s, and slack is a slack',
        ),
        ({"source": {"table": "leads"}}, None),
        ({"source": {"table": "leads", "database": "crm"}}, None),
        (
            {"source": {"table": "leads", "database": "erp"}},
            "source: the settings have no databases.erp; add erp to [databases]; they have: crm",
        ),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    tmp_path: Path, sections: dict[str, object], told: str | None
) -> None:
    (tmp_path / "config.toml").write_text(SETTINGS)
    campaign = Campaign.model_validate({"name": "a", "agent": "b", **sections})
    found = missing(campaign, load(tmp_path / "config.toml", {}))
    assert len(found) == (told is not None)
    assert all(told is not None and told in each for each in found)
