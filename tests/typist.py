"""A user at a terminal: a process on a real pseudo-terminal, keys typed into it, and what its screen shows."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import TracebackType

CLEAR = "\x1b[H\x1b[2J\x1b[3J"


class Typist:
    """headrace on a pseudo-terminal of its own, in a session of its own, so that Ctrl-C typed at it reaches it alone."""

    def __init__(self, *arguments: str | Path, cwd: Path, columns: int = 80, lines: int = 24, **environment: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.before = termios.tcgetattr(slave)

        def own() -> None:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        environment = {**{k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}, "TERM": "xterm", **environment}
        command = [sys.executable, "-m", "headrace", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=environment, preexec_fn=own)
        self._slave, self.said = slave, ""

    @property
    def screen(self) -> str:
        """What stands there since it was cleared last."""
        return self.said.rpartition(CLEAR)[2].replace("\r\n", "\n")

    @property
    def settings(self) -> list[object]:
        """How the terminal is set now: echo, lines, and so on."""
        return termios.tcgetattr(self._slave)

    def see(self, pattern: str, seconds: float = 60) -> str:
        """Read until the screen shows a pattern and return it. Fails with the screen where it never does."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.screen, re.DOTALL):
            left = end - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{pattern!r} was not seen on\n{self.screen}")
        return self.screen

    def press(self, keys: str) -> "Typist":
        os.write(self._master, keys.encode())
        return self

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            more = os.read(self._master, 65536)
        except OSError:
            return False
        self.said += more.decode("utf-8", "replace")
        return bool(more)

    def end(self, seconds: float = 60) -> int:
        """Wait for the process to end and return its exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.1)
        while self._read(0.1):
            pass
        return self.process.wait(1)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> "Typist":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.kill()
        os.close(self._master)
        os.close(self._slave)
