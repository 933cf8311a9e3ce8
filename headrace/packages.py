"""Packages of the Python index by name and version, as files for an ingest part to read: nothing of them is built, installed or run.

pip's own `download` runs the build backend of a source archive, only to read its metadata. So the file is looked up where pip is configured
to look (`headrace.registry`), the source archive before a wheel, and taken only if it has the sha256 that the index states.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urldefrag

from catalog.errors import InputError, SetupError, near
from headrace.registry import Places, digest, download, host, listed, places

ASKED = re.compile(r"([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)==([\w.!+-]+)")
SOURCES, WHEEL = (".tar.gz", ".zip", ".tar.bz2", ".tgz"), ".whl"
MAX_BYTES = 1 << 30
HASH = re.compile(r"sha256=([0-9a-fA-F]{64})")
SHOWN = 5


def fetch_packages(asked: Sequence[str], folder: Path, at: Places | None = None) -> list[Path]:
    """Return the files of packages asked for as `name==version`, downloaded into `folder` unless they lie there.

    Raises InputError for a request that is none, SetupError for a package, a version or a sha256 that the index does not have.
    """
    wanted = []
    for said in asked:
        found = ASKED.fullmatch(said.strip())
        if found is None:
            raise InputError(f"fetch: {said!r} is not name==version, such as requests==2.32.3: what is read must be the same tomorrow")
        wanted.append((found[1], found[2]))
    at = at or places()
    return [_fetch(name, version, folder, at) for name, version in wanted]


def _fetch(name: str, version: str, folder: Path, at: Places) -> Path:
    file, url = _found(name, version, at)
    stated = HASH.search(urldefrag(url).fragment)
    if stated is None:
        raise SetupError(f"fetch: {host(url)} states no sha256 of {file}: what came could be anything; ask an index that does")
    path, sha256 = folder / file, stated[1].lower()
    if not (path.is_file() and digest(path) == sha256):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            download(url, path, sha256, MAX_BYTES, at)
        except (OSError, SetupError) as error:
            raise SetupError(f"fetch: {file} from {host(url)}: {error}") from None
    return path


def _found(name: str, version: str, at: Places) -> tuple[str, str]:
    """The file of a version and its address, from the first place that has it: pip's find-links, then its indexes."""
    failures, known = [], list[str]()
    for listing in [*at.links, *(index.rstrip("/") + "/" + _flat(name) + "/" for index in at.indexes)]:
        try:
            files = listed(listing, at) if "://" in listing else _inside(listing, name)
        except HTTPError as error:
            if error.code != 404:
                failures.append(f"{host(listing)}: {error}")
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            failures.append(f"{host(listing)}: {error}")
            continue
        offers = [(found, file, url) for file, url in files if "/" not in file and (found := _version(name, file))]
        fit = [(file, url) for found, file, url in offers if _flat(found) == _flat(version)]
        if fit:
            return min(fit, key=lambda one: (one[0].endswith(WHEEL), "none-any" not in one[0], one[0]))
        known += [found for found, *_ in offers if found not in known]
    if known:
        others = f"{', '.join(known[-SHOWN:])} and {max(0, len(known) - SHOWN)} more"
        raise SetupError(f"fetch: {name} has no version {version}{near(version, known)}; there are {others}")
    tried = "; ".join(failures) or f"no such package at {', '.join(map(host, at.links + at.indexes)) or 'any index: pip looks nowhere'}"
    raise SetupError(f"fetch: {name}: {tried}; is it spelt so, and is pip's index-url right?")


def _inside(folder: str, name: str) -> list[tuple[str, str]]:
    """A package's files in a folder, as a listing says it: what lies at hand is its own sha256."""
    paths = [path for path in sorted(Path(folder).expanduser().iterdir()) if path.is_file() and _version(name, path.name)]
    return [(path.name, f"{path.absolute().as_uri()}#sha256={digest(path)}") for path in paths]


def _version(name: str, file: str) -> str:
    """The version in a file's name; empty for what is neither a source archive nor a wheel of the package."""
    if file.endswith(WHEEL):
        parts = file.split("-")
        return parts[1] if len(parts) > 4 and _flat(parts[0]) == _flat(name) else ""
    end = next((end for end in SOURCES if file.endswith(end)), None)
    if end is None:
        return ""
    stem = file.removesuffix(end)
    cut = next((i for i, char in enumerate(stem) if char == "-" and _flat(stem[:i]) == _flat(name)), None)
    return stem[cut + 1 :] if cut is not None and stem[cut + 1 : cut + 2].isdigit() else ""


def _flat(name: str) -> str:
    """A name or a version as it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
