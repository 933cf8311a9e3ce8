"""What a site lets robots do: robots.txt by RFC 9309, and what it and its pages say of use by AI.

A crawl obeys what is said to it by name or to all. What is said to others, such as CCBot or GPTBot, is recorded with each page and its
date, so that a policy can honour it when a corpus is made of it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from protego import Protego

from ingest.crawling import optout
from ingest.crawling.fetch import Fetched

MOST_BYTES = 500 << 10
"""Of a robots.txt that are read (RFC 9309, section 2.5)."""
MOST_HOPS = 5
LONGEST_DELAY = 60.0
"""Seconds: a site that asks for more between two pages is asked this seldom, as others do."""
AI_AGENTS = (
    "AI2Bot", "Amazonbot", "anthropic-ai", "Applebot-Extended", "Bytespider", "CCBot", "ClaudeBot", "cohere-ai", "Diffbot", "FacebookBot",
    "Google-Extended", "GPTBot", "meta-externalagent", "omgili", "PerplexityBot", "Timpibot",
)  # fmt: skip
"""Agents that gather text for language models, as their makers document them."""
INDEXING = re.compile(r"(?:^|[\s,;:])(noindex|nofollow|none|noarchive|nosnippet)(?=$|[\s,;])", re.I)
SIGNAL = re.compile(r"^[ \t]*content-(?:signal|usage)[ \t]*:(.*)$", re.I | re.M)
AI_SIGNAL = re.compile(r"\b(?:ai-train|train-ai|ai-input|genai)[ \t]*=[ \t]*(?:no|n)\b", re.I)


@dataclass(frozen=True)
class Rules:
    """A site's robots.txt, read. `all` is what is allowed where none was to be had: everything (4xx) or nothing (5xx, no answer)."""

    text: str = ""
    all: bool | None = None
    parsed: Protego | None = None


def rules(answer: Fetched) -> Rules:
    """Return what an answer to /robots.txt, its redirects followed, means for the site (RFC 9309, section 2.3.1).

    There is none: all is allowed. It cannot be had (no answer, 5xx, 429): nothing is, until it can.
    """
    if answer.status is None or answer.status >= 500 or answer.status == 429:
        return Rules(all=False)
    if not 200 <= answer.status < 300:
        return Rules(all=True)
    return read(answer.body)


def read(content: bytes) -> Rules:
    """Return the rules in a robots.txt: of one that is too long, those in its first half megabyte, up to a whole line."""
    if len(content) > MOST_BYTES:
        content = content[:MOST_BYTES].rpartition(b"\n")[0]
    text = content.decode("utf-8", "replace").removeprefix("\ufeff").replace("\0", "")
    return Rules(text, None, Protego.parse(text))


def allowed(site: Rules, url: str, agent: str) -> bool:
    """Return whether an agent, by its product token, may ask for an address."""
    if site.parsed is None:
        return bool(site.all)
    return bool(site.parsed.can_fetch(url, agent))


def delay(site: Rules, agent: str, least: float) -> float:
    """Return the seconds between two requests: what the site asks for, at least `least`, at most LONGEST_DELAY or `least`."""
    if site.parsed is None:
        return least
    asked = site.parsed.crawl_delay(agent) or 0.0
    rate = site.parsed.request_rate(agent)
    spread = rate.seconds / rate.requests if rate and rate.requests else 0.0
    return max(least, min(max(asked, spread), LONGEST_DELAY))


def sitemaps(site: Rules) -> list[str]:
    """Return the sitemaps that a site names."""
    return list(site.parsed.sitemaps) if site.parsed else []


def opted_out(site: Rules, url: str, headers: Iterable[tuple[str, str]] = (), metas: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Return what says that a page is not for AI, sorted: agents that its robots.txt keeps out, `noai`, `tdm-reservation`, `content-signal`.

    `headers` are the answer's, `metas` the name and content of the page's meta elements, both with names in lower case.
    """
    found = {agent for agent in AI_AGENTS if not allowed(site, url, agent)} if site.parsed else set()
    found |= {"content-signal"} if any(AI_SIGNAL.search(line) for line in SIGNAL.findall(site.text)) else set()
    return sorted(found | optout.said(headers, metas))


def indexing(headers: Iterable[tuple[str, str]], metas: Iterable[tuple[str, str]], agent: str) -> set[str]:
    """Return what a page asks of robots: `noindex`, `nofollow` and the like. Directives for another agent by name do not count."""
    found: set[str] = set()
    for name, value in headers:
        if name == "x-robots-tag":
            whom, colon, rest = value.partition(":")
            if not colon or INDEXING.search(f" {whom}") or whom.strip().lower() == agent.lower():
                found |= {said.lower() for said in INDEXING.findall(f" {rest if colon and whom.strip().lower() == agent.lower() else value}")}
    for name, value in metas:
        if name in ("robots", agent.lower()):
            found |= {said.lower() for said in INDEXING.findall(f" {value}")}
    return found | {"noindex", "nofollow"} if "none" in found else found
