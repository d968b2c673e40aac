"""The site's hook: pages that live elsewhere join it, and a file that a page names becomes a link if it is a page."""

import re
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).parent.parent
ELSEWHERE: Final = {"README.md": "index.md", "campaigns/README.md": "campaigns.md"}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that live elsewhere."""
    for path, name in ELSEWHERE.items():
        files.append(File.generated(config, name, content=(ROOT / path).read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Link what is named between backticks."""
    known = {
        f"docs/{file.src_uri}": file.src_uri for file in files if file.src_uri.endswith(".md")
    } | ELSEWHERE
    blocks = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else _linked(part, known) for part in blocks)


def _linked(text: str, known: dict[str, str]) -> str:
    names = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    return re.sub(rf"(?<!\[)`({names})`", lambda found: f"[`{found[1]}`]({known[found[1]]})", text)
