"""The entry that spark-submit runs: `spark-submit --master URL --py-files headrace-<hash>.zip headrace_submit.py run RECIPE ...`.

`headrace ship` writes it beside the zip. It needs nothing but the zip: recipes are checked by reading the source of what they
name, so the house is unpacked first; and the command that follows uses the session that spark-submit prepares.
"""

import atexit
import os
import shutil
import sys
import tempfile
import zipfile


def unpack() -> str | None:
    """Unpack the shipped house and put it first: once a machine and user, where executors have theirs, so that kernels are compiled once.

    Where no such folder can be made, into one of this process. None when the house lies there as files.
    """
    zips = [path for path in sys.path if os.path.basename(path).startswith("headrace-") and path.endswith(".zip") and os.path.isfile(path)]
    if not zips:
        return None
    folder = _kept(zips[0])
    if folder is None:
        folder = tempfile.mkdtemp(prefix="headrace-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _extract(zips[0], folder)
    sys.path[:] = [folder, *(path for path in sys.path if path not in zips)]
    return folder


def _kept(shipped: str) -> str | None:
    """Return the folder of the user's that holds this very house, unpacked now or before; None where there can be none."""
    home = os.path.expanduser(os.environ.get("NUMBA_CACHE_DIR") or "~/.cache/headrace")
    folder = os.path.join(home, os.path.basename(shipped)[: -len(".zip")])
    if os.path.isdir(folder):
        return folder
    try:
        os.makedirs(home, mode=0o700, exist_ok=True)
        made = tempfile.mkdtemp(dir=home)
        _extract(shipped, made)
    except OSError:
        return None
    try:
        os.rename(made, folder)
    except OSError:  # it is there meanwhile
        shutil.rmtree(made)
    return folder


def _extract(shipped: str, folder: str) -> None:
    with zipfile.ZipFile(shipped) as house:
        house.extractall(folder)


def main() -> None:
    """Hand over to the command line. A recipe that does not speak of Spark runs on the session that is there, too."""
    unpack()
    from headrace.cli import main as command_line

    if sys.argv[1:2] == ["run"] and "--conf" not in sys.argv:
        sys.argv += ["--conf", "spark.headrace.submitted=true"]
    command_line()


if __name__ == "__main__":
    main()
