"""What a process does that ``spawn`` has forked: it becomes `dialer`, with the pipes and environment it is given."""

import os
import sys
from multiprocessing.connection import Connection
from typing import Any

from dialer import crash
from dialer.cli import main

given: dict[str, Any] = globals()["given"]  # by runpy
pipes: tuple[Connection, ...] = given["pipes"]

os.environ.clear()
os.environ.update(given["environment"])
for descriptor, pipe in enumerate(pipes, 1):
    os.dup2(pipe.fileno(), descriptor)
    pipe.close()
sys.stdout = os.fdopen(1, "w", closefd=False)
sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
sys.argv = ["dialer", *given["arguments"]]
crash.arm(os.environ.get(crash.VARIABLE, ""))
main()
