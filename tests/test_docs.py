"""The docs are built, every link in them leads somewhere, and every page of the console has its pictures."""

import re
import subprocess
import sys
from pathlib import Path

from dialer.web.console.pages import PAGES

ROOT = Path(__file__).parent.parent


def test_the_site_is_built_and_every_link_and_anchor_leads_somewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    page = (tmp_path / "index.html").read_text()
    assert 'href="operating.html"' in page, "what is named between backticks is a link"
    assert not re.findall(r'(?:src|href)="https?://(?!www\.calldock\.co)[^"]*\.(?:js|css|woff2?)', page), (
        "nothing from elsewhere"
    )


def test_every_page_of_the_console_has_its_pictures_at_both_widths() -> None:
    shown = set(re.findall(r"shots/(\w+)-(?:1280|390)\.jpg", (ROOT / "docs" / "console.md").read_text()))
    assert len(shown) == len(PAGES)
    for name in shown:
        for width in (1280, 390):
            assert (ROOT / "docs" / "shots" / f"{name}-{width}.jpg").stat().st_size > 5000
