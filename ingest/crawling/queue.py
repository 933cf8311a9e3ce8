"""Which host may be asked next, and for what: hosts by the time at which they are ready, a host's addresses by depth, then as they were found."""

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest.crawling.frontier import Address

Entry = tuple[int, int, str]
"""Depth, number, address."""


class Queue:
    """The addresses due in a round. A host that is taken is given again once it is freed. Times are seconds since 1970."""

    def __init__(self) -> None:
        self._addresses: dict[str, list[Entry]] = {}
        self._ready: list[tuple[float, str]] = []
        self._later: list[tuple[float, str, Entry]] = []
        self._taken: dict[str, Entry] = {}
        self._count = 0

    @property
    def size(self) -> int:
        """Addresses that wait for their turn."""
        return sum(map(len, self._addresses.values())) + len(self._later)

    @property
    def hosts(self) -> int:
        """Hosts with such addresses."""
        return sum(1 for held in self._addresses.values() if held)

    def add(self, address: "Address", ready: float = 0.0, later: float = 0.0) -> None:
        """Add an address of a host that is ready at a time; `later`: not before that time."""
        self._count += 1
        entry = (address.depth, self._count, address.uri)
        if later:
            heapq.heappush(self._later, (later, address.host, entry))
        else:
            self._put(address.host, entry, ready)

    def _put(self, host: str, entry: Entry, ready: float) -> None:
        held = self._addresses.setdefault(host, [])
        heapq.heappush(held, entry)
        if len(held) == 1 and host not in self._taken:
            heapq.heappush(self._ready, (ready, host))

    def take(self, now: float) -> tuple[str | None, str | None, float | None]:
        """Return a host that is ready and an address of it; else how many seconds until there may be one, None for never."""
        while self._later and self._later[0][0] <= now:
            when, host, entry = heapq.heappop(self._later)
            self._put(host, entry, when)
        if self._ready and self._ready[0][0] <= now:
            _, host = heapq.heappop(self._ready)
            entry = heapq.heappop(self._addresses[host])
            self._taken[host] = entry
            return host, entry[2], None
        times = [heap[0][0] for heap in (self._ready, self._later) if heap]
        return None, None, min(times) - now if times else None

    def free(self, host: str, ready: float, *, again: bool = False) -> None:
        """Give a host back that is ready again at a time; with `again` its address was not asked for and waits on."""
        entry = self._taken.pop(host)
        held = self._addresses[host]
        if again:
            heapq.heappush(held, entry)
        if held:
            heapq.heappush(self._ready, (ready, host))
