"""Running headrace as its user does: a process, its exit code, what it says. And the same with the network denied."""

import os
import subprocess
import sys
from dataclasses import dataclass
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
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=HOME, env={**os.environ, "PATH": path})
    return Said(done.returncode, done.stdout, done.stderr)
