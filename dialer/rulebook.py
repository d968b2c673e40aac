"""The rule packs at hand, and the campaign file with those that it obeys.

Shipped ones lie in ``campaigns/rules``; a file of the same name in the operator's own ``rules`` folder takes the place
of a shipped one, and any other joins them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dialer import campaign_file, shipped
from dialer.campaign_file import CampaignFile
from dialer.domain.campaign import Pack
from dialer.domain.errors import ConfigError
from dialer.settings import Settings
from dialer.settings.links import missing

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
    return _with_packs(campaign_file.read(path), str(path), campaigns)


def read_all(settings: Settings, paths: Iterable[Path]) -> list[CampaignFile]:
    """Every file read before any is applied: one mistake, and nothing is half done.

    Raises ConfigError with every mistake of every file.
    """
    folder = settings.campaigns_dir
    return _all(settings, [(str(path), partial(read, path, folder)) for path in paths])


def parse_all(settings: Settings, texts: Mapping[str, str]) -> list[CampaignFile]:
    """As ``read_all``, of texts by the names that mistakes tell."""
    folder = settings.campaigns_dir

    def parse(name: str, text: str) -> CampaignFile:
        return _with_packs(campaign_file.parse(text, name), name, folder)

    return _all(settings, [(name, partial(parse, name, text)) for name, text in texts.items()])


def _all(settings: Settings, wanted: list[tuple[str, Callable[[], CampaignFile]]]) -> list[CampaignFile]:
    mistakes: list[str] = []
    files: dict[str, tuple[str, CampaignFile]] = {}
    for where, make in wanted:
        try:
            file = make()
        except ConfigError as error:
            mistakes.append(str(error))
            continue
        name, agent = file.campaign.name, file.campaign.agent
        if agent not in settings.agents:
            known = ", ".join(settings.agents) or "none yet"
            mistakes.append(
                f"{where}: agent {agent!r} has no section [agents.{agent}] in the settings; known are: {known}"
            )
        mistakes += [f"{where}: {text}" for text in missing(file.campaign, settings)]
        if name in files:
            mistakes.append(f"{where}: name {name!r} is that of {files[name][0]} too; give each file its own")
        files.setdefault(name, (where, file))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return [file for _, file in files.values()]


def _with_packs(file: CampaignFile, where: str, campaigns: Path | None) -> CampaignFile:
    known, wanted = packs(campaigns), file.campaign.rules.packs
    names = sorted(known) if wanted == "auto" else list(wanted)
    if unknown := [name for name in names if name not in known]:
        line = campaign_file.lines(file.source).get(("rules", "packs"), 1)
        raise ConfigError(
            f'{where}:{line}: rules.packs: there is no pack "{unknown[0]}"; known are: {", ".join(sorted(known))}'
        )
    campaign = file.campaign.model_copy(update={"packs": tuple(known[name].pack for name in names)})
    return CampaignFile(campaign, file.source, file.checksum)
