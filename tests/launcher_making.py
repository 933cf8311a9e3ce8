"""The command `headrace` as set-up writes it, and calling it as a person at a shell does: in any folder, with nothing of ours on the path."""

import os
import subprocess
import sys
from pathlib import Path

from headrace.setup import launcher


def write_command(folder: Path) -> Path:
    """Write the command into an environment under `folder` that runs our Python, and return where it lies."""
    python = folder / "my venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return launcher(python.parent.parent)


def call(command: Path, *arguments: str, cwd: Path, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in an environment without our PYTHONPATH."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([command, *arguments], cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, timeout=timeout)


def shell(command: Path, lines: str, *, cwd: Path, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run lines of a page in a shell that finds the command first, as after `source .venv/bin/activate`; it ends at the first that fails."""
    path = os.pathsep.join([str(command.parent), os.environ["PATH"]])
    return call(Path("/bin/sh"), "-ec", lines, cwd=cwd, timeout=timeout, PATH=path, **environment)
