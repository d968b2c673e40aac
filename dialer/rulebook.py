"""The rule packs at hand, and the campaign file with those that it obeys.

Shipped ones lie in ``campaigns/rules``; a file of the same name in the operator's own ``rules`` folder takes the place
of a shipped one, and any other joins them.
"""

from dataclasses import dataclass
from pathlib import Path

from dialer import campaign_file, shipped
from dialer.campaign_file import CampaignFile
from dialer.domain.campaign import Pack
from dialer.domain.errors import ConfigError

NOTICE = (
    "These packs are one reading of the sources that they name, as of their date. They are not legal advice."
)


@dataclass(frozen=True, slots=True)
class Found:
    """A pack and where it lies."""

    pack: Pack
    path: Path


def packs(campaigns: Path | None) -> dict[str, Found]:
    """Every pack by name; ``campaigns`` is the operator's folder of campaigns. Raises ConfigError for a bad file."""
    folders = [shipped.folder("campaigns") / "rules", *([campaigns / "rules"] if campaigns else [])]
    found: dict[str, Found] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            pack = campaign_file.read_pack(path)
            if pack.name != path.stem:
                raise ConfigError(f'{path}: its name is "{pack.name}": name the file {pack.name}.toml')
            found[pack.name] = Found(pack, path)
    return found


def read(path: Path, campaigns: Path | None) -> CampaignFile:
    """A campaign file with the packs that its ``[rules]`` names. Raises ConfigError for a mistake in either."""
    file = campaign_file.read(path)
    known, wanted = packs(campaigns), file.campaign.rules.packs
    names = sorted(known) if wanted == "auto" else list(wanted)
    if unknown := [name for name in names if name not in known]:
        line = campaign_file.lines(file.source).get(("rules", "packs"), 1)
        raise ConfigError(
            f'{path}:{line}: rules.packs: there is no pack "{unknown[0]}"; known are: {", ".join(sorted(known))}'
        )
    campaign = file.campaign.model_copy(update={"packs": tuple(known[name].pack for name in names)})
    return CampaignFile(campaign, file.source, file.checksum)
