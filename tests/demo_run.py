"""Running headrace as its user does: a process, its exit code, what it says. And the same with the network denied."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
DEMO = "recipes/demo.yaml"
DENIED = """
set -e
ip link set lo up
python -c "
import socket
for kind, ask in (('DNS', lambda: socket.getaddrinfo('example.org', 80)), ('TCP', lambda: socket.create_connection(('192.0.2.1', 80), 3))):
    try:
        ask()
    except OSError:
        continue
    raise SystemExit(kind + ' works: the network is not denied')
"
exec "$@"
"""


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str
    silent: float = 0.0
    """The longest that it said nothing on stderr, in seconds, where somebody listened."""
    broken: str = ""
    """What ended that silence."""


def headrace(*arguments: str | Path, cwd: Path | None = None, timeout: float = 120, **environment: str) -> Said:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace", *map(str, arguments)], capture_output=True, text=True, timeout=timeout, cwd=cwd or HOME,
        env={**os.environ, **environment},
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def without_network(*arguments: str | Path, timeout: float = 1500) -> Said:
    """Run the command line in a network namespace that has loopback alone, after proving that nothing else answers."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["unshare", "-rn", "bash", "-c", DENIED, "bash", sys.executable, "-m", "headrace", *map(str, arguments)]
    return listened(command, timeout, {**os.environ, "PATH": path})


def listened(command: list[str], timeout: float, environment: dict[str, str]) -> Said:
    """Run a command, and take the time of what it says: each line, or each redrawing of a line."""
    heard: list[tuple[float, bytes]] = [(time.monotonic(), b"")]
    with tempfile.TemporaryFile() as out, subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, cwd=HOME, env=environment) as run:
        assert run.stderr is not None
        deadline = threading.Timer(timeout, run.kill)
        deadline.start()
        while said := os.read(run.stderr.fileno(), 1 << 16):
            heard.append((time.monotonic(), said))
        run.wait()
        deadline.cancel()
        out.seek(0)
        told = out.read().decode()
    silent, broken = max(((after - before, said) for (before, _), (after, said) in pairwise(heard)), default=(0.0, b""))
    return Said(run.returncode, told, b"".join(said for _, said in heard).decode(errors="replace"), silent, broken.decode(errors="replace"))
