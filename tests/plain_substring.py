"""Repeated stretches in plain Python, straight from their definition: what `curate.substring` must find."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

Place = tuple[str, int]
Span = tuple[int, int, str, int, int]


def stretches(texts: Mapping[str, Sequence[str]], tokens: int, inside: bool = True) -> dict[str, list[Span]]:
    """Return, of each document (doc_id -> words), first word, words, first place and copies of its spans."""
    where: dict[tuple[str, ...], list[Place]] = defaultdict(list)
    for doc_id in sorted(texts):
        for at in range(len(texts[doc_id]) - tokens + 1):
            where[tuple(texts[doc_id][at : at + tokens])].append((doc_id, at))
    repeated = {window: places for window, places in where.items() if len(places if inside else {doc_id for doc_id, _ in places}) > 1}
    window_at = {place: window for window, places in repeated.items() for place in places}

    def goes_on(window: tuple[str, ...]) -> tuple[str, ...] | None:
        """The window behind this one wherever it stands, if it stands nowhere else."""
        behind = {window_at.get((doc_id, at + 1)) for doc_id, at in repeated[window]}
        after = behind.pop()
        return after if not behind and after is not None and len(repeated[after]) == len(repeated[window]) else None

    found: dict[str, list[Span]] = defaultdict(list)
    led_to = {after for window in repeated if (after := goes_on(window)) is not None}
    for window, places in repeated.items():
        if window in led_to:
            continue
        count, at = 1, window
        while (after := goes_on(at)) is not None:
            count, at = count + 1, after
        for doc_id, word in places:
            found[doc_id].append((word, count + tokens - 1, *places[0], len(places)))
    return {doc_id: sorted(rows) for doc_id, rows in found.items()}


def cut(texts: Mapping[str, Sequence[str]], kept: Sequence[str], spans: Mapping[str, list[Span]]) -> dict[str, set[int]]:
    """Return the words that go from each kept document, `kept` being in the policy's order: of each stretch all copies but the earliest."""
    gone: dict[str, set[int]] = {doc_id: set() for doc_id in kept}
    stays: dict[Place, tuple[str, int]] = {}
    for doc_id in kept:
        for word, words, first, at, _ in sorted(spans.get(doc_id, [])):
            if (first, at) not in stays:
                stays[first, at] = (doc_id, word + words)
                continue
            owner, end = stays[first, at]
            gone[doc_id] |= set(range(max(word, end) if owner == doc_id else word, word + words))
    return gone


def left(words: Sequence[str], gone: set[int]) -> Counter[str]:
    """The words that stay, counted."""
    return Counter(word for at, word in enumerate(words) if at not in gone)
