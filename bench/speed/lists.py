"""The import of a long list: seconds, and the most memory that it took."""

import asyncio
import sys
import time
from typing import Any

import psutil
from speed.house import BIN, House


async def imports(place: House, rows: int) -> dict[str, Any]:
    """Import so many checked rows by the command."""
    place.configure()
    await place.empty()
    await place.campaign()
    file = place.folder / "long.csv"
    with file.open("w") as out:
        out.write("phone,name,email,plan\n")
        for n in range(rows):
            out.write(f"+1{2125000000 + n},Person {n},person{n}@example.com,plan-{n % 7}\n")
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        str(BIN / "dialer"), "contacts", "import", str(file), "--campaign", "promo", "--config", str(place.config),
        stdout=asyncio.subprocess.DEVNULL, stderr=sys.stderr,
    )  # fmt: skip
    most, one = 0, psutil.Process(process.pid)
    while process.returncode is None:
        try:
            most = max(most, one.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        await asyncio.sleep(0.05)
    await process.wait()
    seconds = time.perf_counter() - began
    added = await place.value("select sum(added) from imports")
    return {"rows": rows, "added": int(added), "seconds": round(seconds, 1), "rss_mb": round(most / 1e6)}
