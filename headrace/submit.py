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
    """Unpack the shipped house into a folder of this process and put it first. None when the house lies there as files."""
    zips = [path for path in sys.path if os.path.basename(path).startswith("headrace-") and path.endswith(".zip") and os.path.isfile(path)]
    if not zips:
        return None
    folder = tempfile.mkdtemp(prefix="headrace-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with zipfile.ZipFile(zips[0]) as house:
        house.extractall(folder)
    sys.path[:] = [folder, *(path for path in sys.path if path not in zips)]
    return folder


def main() -> None:
    """Hand over to the command line. A recipe that does not speak of Spark runs on the session that is there, too."""
    unpack()
    from headrace.cli import main as command_line

    if sys.argv[1:2] == ["run"] and "--conf" not in sys.argv:
        sys.argv += ["--conf", "spark.headrace.submitted=true"]
    command_line()


if __name__ == "__main__":
    main()
