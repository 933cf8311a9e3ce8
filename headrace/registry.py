"""Fetch one pinned file from where pip is configured to look, as data: nothing of a package is ever run.

`pip download` of a source archive runs its build backend, only to read metadata. So the listing of each configured index is
read here (simple JSON or HTML, whichever the index answers with), the exact file name is looked up, and the bytes are checked
against the pinned sha256. pip's index-url, extra-index-url, find-links, cert and proxy are honoured, and netrc for passwords.
"""

import ast
import hashlib
import json
import netrc
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from catalog.errors import SetupError

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
DEFAULT_INDEX = "https://pypi.org/simple"
SECTIONS = (":env:", "download", "install", "global")       # the first that sets an option wins
TRIES, TIMEOUT = 3, 60                                       # attempts at one address; seconds without a byte
LISTING_CAP = 64 << 20                                       # bytes: the longest listings of today are a tenth of this
CHUNK, SILENCE = 1 << 18, 5.0                                # bytes a read; seconds between two lines of progress


@dataclass(frozen=True)
class Places:
    """Where pip is configured to look. `links` are folders or pages, as pip's find-links."""

    indexes: tuple[str, ...]
    links: tuple[str, ...] = ()
    cert: str | None = None
    proxy: str | None = None


@dataclass
class Page(HTMLParser):
    """The links of an HTML listing, as (file name, absolute address)."""

    address: str
    found: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if not href:
            return
        if tag == "base":
            self.address = urljoin(self.address, href)
        elif tag == "a":
            url = urljoin(self.address, href)
            self.found.append((unquote(urlsplit(url).path.rsplit("/", 1)[-1]), url))


def places() -> Places:
    """Ask the pip of this Python where it looks. Raises SetupError when there is no pip to ask."""
    asked = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
    if asked.returncode:
        raise SetupError(f"{sys.executable} -m pip config list: {asked.stderr.strip() or 'failed'}; install pip")
    options: dict[str, str] = {}
    for line in asked.stdout.splitlines():
        name, _, value = line.partition("=")
        options[name] = str(ast.literal_eval(value)) if value[:1] in "'\"" else value

    def option(key: str) -> str:
        return next((options[f"{section}.{key}"] for section in SECTIONS if f"{section}.{key}" in options), "")

    indexes = () if option("no-index") in ("1", "true", "True") else (option("index-url") or DEFAULT_INDEX, *option("extra-index-url").split())
    return Places(indexes, tuple(option("find-links").split()), option("cert") or None, option("proxy") or None)


def fetch(project: str, name: str, sha256: str, size: int, folder: Path, at: Places) -> Path:
    """Return `folder`/`name`, downloaded unless it lies there already, its sha256 checked.

    Raises SetupError when no configured place offers the file or what it offers is another file.
    """
    path = folder / name
    if path.is_file() and digest(path) == sha256:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    for url in offers(project, name, at, failures):
        try:
            return download(url, path, sha256, size, at)
        except (OSError, SetupError) as error:
            failures.append(f"{host(url)}: {error}")
    tried = "; ".join(failures) or f"no index lists it ({', '.join(map(host, at.indexes + at.links)) or 'pip looks nowhere'})"
    raise SetupError(f"{name} could not be fetched: {tried}; check pip's index, or put the file into {folder}")


def offers(project: str, name: str, at: Places, failures: list[str]) -> Iterator[str]:
    """Addresses of the file, place by place; what went wrong on the way is added to `failures`."""
    for link in at.links:
        if Path(link, name).is_file():
            yield Path(link, name).absolute().as_uri()
    listings = [index.rstrip("/") + "/" + re.sub(r"[-_.]+", "-", project).lower() + "/" for index in at.indexes]
    for listing in listings + [link for link in at.links if "://" in link]:
        try:
            yield from (url for found, url in listed(listing, at) if found == name)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                failures.append(f"{host(listing)}: {error}")
        except OSError as error:
            if not listing.startswith("file:"):
                failures.append(f"{host(listing)}: {error}")


def listed(listing: str, at: Places) -> list[tuple[str, str]]:
    """Read one listing: file names, and addresses with `#sha256=` behind them where it states one.

    Its own final address is what relative links are joined to: mirrors answer with relative ones.
    """
    address = listing + "index.html" if listing.startswith("file:") and listing.endswith("/") else listing
    with opened(address, at, {"Accept": ACCEPT}) as answer:
        text = answer.read(LISTING_CAP).decode("utf-8", "replace")
        base = with_password(answer.geturl(), address)
    if text.lstrip().startswith("{"):
        return [(str(file["filename"]), _hashed(urljoin(base, str(file["url"])), file.get("hashes"))) for file in json.loads(text)["files"]]
    page = Page(base)
    page.feed(text)
    return page.found


def _hashed(url: str, hashes: Any) -> str:
    """A JSON listing's address with its sha256 behind it, as an HTML listing writes it."""
    known = hashes.get("sha256") if isinstance(hashes, dict) else None
    return f"{url}#sha256={known}" if known and "#" not in url else url


def download(url: str, path: Path, sha256: str, size: int, at: Places) -> Path:
    """Write `url` to `path` under a temporary name, then rename. Raises SetupError when the bytes are not those pinned."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    seen, done, told = hashlib.sha256(), 0, time.monotonic()
    try:
        with opened(url, at, {}) as answer, part.open("wb") as out:
            while chunk := answer.read(CHUNK):
                done += len(chunk)
                if done > size:
                    raise SetupError(f"is longer than the {size} bytes pinned")
                seen.update(chunk)
                out.write(chunk)
                if time.monotonic() - told > SILENCE:
                    told = time.monotonic()
                    print(f"  {path.name}: {done / 1e6:.1f} of {size / 1e6:.1f} MB", file=sys.stderr, flush=True)
            out.flush()
            os.fsync(out.fileno())
        if seen.hexdigest() != sha256:
            raise SetupError(f"sha256 is {seen.hexdigest()}, pinned is {sha256}")
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def opened(url: str, at: Places, headers: dict[str, str]) -> urllib.response.addinfourl:
    """Open an address with the configured certificate and proxy, trying a few times where the network fails."""
    bare, secret = without_password(url)
    if secret:
        headers = {**headers, "Authorization": "Basic " + b64encode(secret.encode()).decode()}
    tools: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=at.cert))]
    if at.proxy:
        tools.append(urllib.request.ProxyHandler({"http": at.proxy, "https": at.proxy}))
    opener = urllib.request.build_opener(*tools)
    for attempt in range(1, TRIES + 1):
        try:
            answer: urllib.response.addinfourl = opener.open(urllib.request.Request(bare, headers=headers), timeout=TIMEOUT)
            return answer
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == TRIES:
                raise
        except OSError:
            if attempt == TRIES or url.startswith("file:"):
                raise
        time.sleep(attempt)
    raise AssertionError("the last attempt returns or raises")


def without_password(url: str) -> tuple[str, str]:
    """Split `https://user:word@host/` into the bare address and `user:word`, which netrc may also know."""
    parts = urlsplit(url)
    user, at, bare = parts.netloc.rpartition("@")
    if at:
        return urlunsplit(parts._replace(netloc=bare)), unquote(user)
    try:
        known = netrc.netrc().authenticators(parts.hostname or "") if parts.scheme == "https" else None
    except (OSError, netrc.NetrcParseError):
        known = None
    return url, f"{known[0]}:{known[2]}" if known else ""


def with_password(url: str, asked: str) -> str:
    """Give the password of `asked` to `url` when both are on one host: links of a private index need it too."""
    user, at, bare = urlsplit(asked).netloc.rpartition("@")
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=user + at + bare)) if at and parts.netloc == bare else url


def host(url: str) -> str:
    """An address fit for a message: no password, no path."""
    return (urlsplit(url).hostname or url) if "://" in url else url


def digest(path: Path) -> str:
    """sha256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
