"""The state of a crawl between its rounds, as it is kept in `crawl.json`: what a run that goes on starts from, and what its key is made of."""

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from catalog.files import write_json


@dataclass(frozen=True)
class Crawl:
    """A crawl after its last round.

    buckets    by number: files, counts
    archives   WARC files by visit
    sent       what the round found for other buckets, `awaited` how much for each
    waits      when hosts that wanted to be left alone may be asked again (seconds since 1970), where a run ended before that
    goes       how often a run went on behind such an end
    """

    owner: str
    count: int
    round: int = 0
    visit: int = 1
    forced: str = ""
    pages: int = 0
    bytes: int = 0
    buckets: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    awaited: dict[str, int] = field(default_factory=dict)
    archives: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    scope: str = ""
    whole: bool = False
    waits: float | None = None
    goes: int = 0

    @property
    def left(self) -> int:
        """Addresses that are still to be asked."""
        return sum(about["left"] for about in self.buckets.values())

    @property
    def times(self) -> list[float]:
        """When each bucket that has something left may go on."""
        return [about["next"] for about in self.buckets.values() if about["next"] is not None]


def folder(root: str | Path, dataset: str) -> Path:
    """Return where a crawl lies in a lake."""
    return Path(root) / "crawls" / dataset


def read(place: Path) -> Crawl | None:
    """Return the state of the crawl that lies there, None where there is none."""
    path = place / "crawl.json"
    return Crawl(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def keep(place: Path, state: Crawl) -> Crawl:
    """Put a state down. Returns it."""
    write_json(place / "crawl.json", asdict(state))
    return state


def goes(state: Crawl) -> int:
    """Return how often a run that starts now will have gone on behind an end."""
    return state.goes + (state.waits is not None and state.waits <= time.time())


def told(errors: dict[str, int]) -> str:
    """Errors by kind, the most frequent first, as they stand in a line."""
    return f" ({', '.join(f'{n:,} {reason}' for reason, n in Counter(errors).most_common(6))})" if errors else ""
