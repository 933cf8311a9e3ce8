"""Processes: who runs this one, and children that end with their parent, so that a killed run leaves nothing behind that still works."""

import ctypes
import getpass
import os
import signal

PR_SET_PDEATHSIG = 1


def user() -> str:
    """Return who runs this process, for the record: LOGNAME or USER, else the account's name, else `uid-N` where a container knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):                              # Python 3.13 raises the second
        return f"uid-{os.getuid()}"


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends, however it ends. Linux only; elsewhere nothing is asked."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return
    if os.getppid() == 1:  # the parent ended before the kernel was asked
        os.kill(os.getpid(), signal.SIGKILL)
