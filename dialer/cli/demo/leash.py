"""Run by its path, beside the demo: when the demo is gone, ends the processes that it has named, the last one first.

Each line of stdin names all of them; an empty one, none. The end of stdin is the end of the demo, however it came.
The argument, the demo's folder, only says whose it is.
"""

import os
import signal
import sys
import time

PATIENCE = 45.0


def main() -> None:
    """Wait for the end of stdin."""
    named: list[int] = []
    for line in sys.stdin:
        named = [int(word) for word in line.split()]
    for pid in reversed(named):
        end = time.monotonic() + PATIENCE
        sign: int = signal.SIGTERM
        try:
            while time.monotonic() < end:
                os.kill(pid, sign)
                sign = 0
                time.sleep(0.05)
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue


if __name__ == "__main__":
    main()
