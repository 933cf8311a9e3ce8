"""A git checkout: which files git tracks, at which commit, and where it was cloned from. Nothing that the repository says is run.

git itself is asked, for reading alone: without the system's and the user's configuration, without hooks, without a file system monitor, a
pager, a credential helper or a filter, and with no protocol to speak to anybody. What a repository's own configuration may name to be
run is overridden by name; `ls-files` and `rev-parse` run none of the rest. GIT_ALLOW_PROTOCOL stands over `protocol.ext.allow`, by which a repository
that says it was cloned in part would have a command of its own fetch what is missing; git before 2.45 knows no GIT_NO_LAZY_FETCH.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from urllib.parse import urlsplit

from catalog.stage import Refused
from ingest.trees.packages import Package, quoted

SECONDS = 120
MAX_LISTED = 256 << 20
OPTIONS = (
    "core.fsmonitor=false", "core.hooksPath=/dev/null", "core.pager=cat", "core.untrackedCache=false", "core.sshCommand=false", "credential.helper=",
    "protocol.allow=never", "core.attributesFile=/dev/null", "core.excludesFile=/dev/null", "submodule.recurse=false", "core.preloadIndex=false",
    "gc.auto=0", "maintenance.auto=false", "safe.directory=*",
)  # fmt: skip
ENVIRONMENT = {
    "PATH": os.defpath, "HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_ASKPASS": "false", "LC_ALL": "C",
}  # fmt: skip
HOSTS = {"github.com": "github", "bitbucket.org": "bitbucket"}
SSH = re.compile(r"^(?:[\w.+-]+@)?([\w.-]+):(?!//)([\w./~-]+)$")


@dataclass(frozen=True)
class Checkout:
    """What git says of a folder. `tracked` is None where it said nothing, and `problem` why; all files but git's own are read then."""

    tracked: frozenset[str] | None
    commit: str = ""
    purl: str = ""
    problem: str = ""

    def holds(self, place: str) -> bool:
        return place in self.tracked if self.tracked is not None else place.rpartition("/")[2] != ".git"

    def named(self, told: Package) -> Package:
        """The package by the repository's address and commit, where it has them."""
        return told._replace(purl=self.purl or told.purl, version=self.commit or told.version)


def look(path: str) -> Checkout | Refused | None:
    """Return what git says of a folder with a `.git` in it; None of what is no checkout; Refused what holds a history and no files."""
    name = os.path.basename(path.rstrip("/"))
    if path.endswith(".bundle") and os.path.isfile(path):
        return Refused(name, "bundle", f"a git bundle is a history: `git clone {name}` and name the folder")
    if not os.path.isdir(path):
        return None
    if all(os.path.exists(os.path.join(path, part)) for part in ("HEAD", "objects", "refs")):
        return Refused(name, "bare_repository", f"it has no files of its own: `git clone {name}` and name the new folder")
    if not os.path.lexists(os.path.join(path, ".git")):
        return None
    listed, problem = _git(path, "ls-files", "-z", "--cached")
    if listed is None:
        return Checkout(None, problem=f"read without git: {problem}")
    commit, _ = _git(path, "rev-parse", "--verify", "--quiet", "HEAD")
    remote, _ = _git(path, "config", "--local", "--no-includes", "--get", "remote.origin.url")
    tracked = frozenset(name for name in os.fsdecode(listed).split("\0") if name)
    return Checkout(tracked, _word(commit), purl((remote or b"").decode("utf-8", "replace").strip()))


def _word(said: bytes | None) -> str:
    text = (said or b"").decode("ascii", "replace").strip()
    return text if re.fullmatch(r"[0-9a-f]{40,64}", text) else ""


def _git(path: str, *words: str) -> tuple[bytes | None, str]:
    """What git answers, or None and why."""
    folder = os.path.abspath(path)
    options = [part for option in OPTIONS for part in ("-c", option)]
    command = [shutil.which("git") or "git", *options, f"--git-dir={folder}/.git", f"--work-tree={folder}", "--no-pager", *words]
    try:
        asked = subprocess.run(command, cwd=folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS)
    except FileNotFoundError:
        return None, "there is no git on PATH"
    except subprocess.TimeoutExpired:
        return None, f"git took more than {SECONDS} s"
    if asked.returncode or len(asked.stdout) > MAX_LISTED:
        return None, asked.stderr.decode("utf-8", "replace").strip()[:300] or f"git exit {asked.returncode}"
    return asked.stdout, ""


def purl(address: str) -> str:
    """A package URL for the address of a repository, without the password in it; empty for one that is not known."""
    found = SSH.match(address)
    try:
        parts = urlsplit(f"ssh://{found[1]}/{found[2]}" if found else address)
        host, trail = parts.hostname or "", parts.path.strip("/").removesuffix(".git")
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https", "ssh", "git") or not host or not trail:
        return ""
    if host in HOSTS:
        return f"pkg:{HOSTS[host]}/{quoted(trail.lower())}"
    return f"pkg:generic/{quoted(f'{host}/{trail}')}"
