"""``make simulate SEEDS=10000``: any number of schedules, in two processes; exit code 1 if one breaks a promise."""

import argparse
import asyncio
import json
import multiprocessing
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))

from simulate import explain, run

from dialer import shipped
from dialer.database.embedded import Embedded
from dialer.database.migrations import migrate
from dialer.database.pool import connect

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


async def work(dsn: str, seeds: range, done, shrinks: bool) -> None:
    conn = await connect(dsn, application_name="simulation")
    for seed in seeds:
        result = await run(conn, seed)
        told = result.fault and (await explain(conn, result) if shrinks else f"seed {seed}: {result.fault}")
        done.put((seed, result.calls, result.days, told))
    await conn.close()


def worker(dsn: str, seeds: range, done, shrinks: bool) -> None:
    try:
        asyncio.run(work(dsn, seeds, done, shrinks))
    except BaseException as error:
        done.put((seeds.start, 0, 0.0, f"the worker ended: {error!r}"))
        raise


async def main(args: argparse.Namespace) -> int:
    began, failed, calls, days = time.monotonic(), [], 0, 0.0
    with TemporaryDirectory(prefix="dialer-simulation-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        async with Embedded(Path(folder) / "server", settings=FAST) as dsn:
            admin = await connect(dsn)
            context = multiprocessing.get_context("spawn")
            done, workers = context.Queue(), []
            for number in range(args.processes):
                await admin.execute(f"create database simulation_{number} strategy file_copy")
                head, _, options = dsn.partition("?")
                own = f"{head.rpartition('/')[0]}/simulation_{number}?{options}"
                conn = await connect(own)
                await migrate(conn, shipped.folder("sql") / "migrations")
                await conn.close()
                seeds = range(args.first + number, args.first + args.seeds, args.processes)
                workers.append(
                    context.Process(target=worker, args=(own, seeds, done, not args.first_fault), daemon=True)
                )
            for process in workers:
                process.start()
            for number in range(1, args.seeds + 1):
                seed, rung, lasted, told = await asyncio.to_thread(done.get, True, 120)
                calls, days = calls + rung, days + lasted
                if told:
                    failed.append(seed)
                    sys.stderr.write(told + "\n")
                    if args.first_fault:
                        for process in workers:
                            process.terminate()
                        break
                if number % 100 == 0 or told:
                    rate = number / (time.monotonic() - began)
                    sys.stderr.write(f"{number} of {args.seeds}, {len(failed)} failed, {rate:.1f}/s\n")
            for process in workers:
                process.join()
            await admin.close()
    said = {"seeds": args.seeds, "failed": sorted(failed), "calls": calls, "days": round(days)}
    sys.stdout.write(json.dumps({**said, "seconds": round(time.monotonic() - began, 1)}) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument(
        "--first-fault", action="store_true", help="end at the first fault, and do not shrink it"
    )
    parser.add_argument("--processes", type=int, default=2)
    raise SystemExit(asyncio.run(main(parser.parse_args())))
