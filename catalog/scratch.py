"""Folders of passing files, one a search, that nobody takes away while it is at work, and that the next one removes where it was killed.

A lock in a folder says that somebody is at work; the system lets go of it when the process ends, however it does. A folder has its name once its lock is
held. Where a file system locks nothing, nothing is swept, and what is left goes by its age (`headrace gc`).
"""

import fcntl
import glob
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

LOCK, WORK = ".lock", ".work"


class Scratch:
    """A folder of passing files, `work` (which ends in .work) with a name of its own before the suffix: two runs of one part at once do not meet in it."""

    _lock = -1

    def __init__(self, work: str) -> None:
        self.folder = f"{work.removesuffix(WORK)}.{uuid.uuid4().hex[:8]}{WORK}"
        made = f"{self.folder}.new"
        os.makedirs(made)
        self._lock = os.open(os.path.join(made, LOCK), os.O_CREAT | os.O_RDWR)
        with suppress(OSError):                              # where nothing can be locked, nothing is swept
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.rename(made, self.folder)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.let_go()

    def let_go(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    __del__ = let_go


def sweep(parent: str) -> None:
    """Remove the scratch folders of a dataset's runs, folders in `parent`, at which nobody is at work any more."""
    for folder in glob.glob(os.path.join(glob.escape(parent), "*", f"*{WORK}"), include_hidden=True):
        try:
            with open(os.path.join(folder, LOCK), "r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:                                      # somebody is at work there, or has removed it just now
            continue


def in_use(path: Path) -> bool:
    """Does a file lie in the scratch folder of somebody at work?"""
    folder = next((one for one in path.parents if one.name.endswith(WORK)), None)
    if folder is None:
        return False
    try:
        with open(folder / LOCK, "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:                                          # no lock, or no locks at all: its age decides
        return False
    return False
