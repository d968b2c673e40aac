"""``make bench``."""

import argparse
import asyncio
import json

from speed.house import house
from speed.life import life


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=20000)
    parser.add_argument("--batch", type=int)
    a = parser.parse_args()
    async with house() as place:
        print(json.dumps(await life(place, a.calls, batch=a.batch)))


asyncio.run(main())
