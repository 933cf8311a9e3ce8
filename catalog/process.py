"""Child processes that end with their parent: a killed run leaves nothing behind that still works."""

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends, however it ends. Linux only; elsewhere nothing is asked."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return
    if os.getppid() == 1:  # the parent ended before the kernel was asked
        os.kill(os.getpid(), signal.SIGKILL)
