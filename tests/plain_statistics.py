"""The statistics of a text said plainly, with Python's own tools: slow, and what `curate.statistics` is held against."""

import math
import zlib
from collections import Counter

Numbers = dict[str, float | None]


def varied(words: list[str]) -> Numbers:
    """What the words' variety amounts to."""
    if not words:
        return {"unique_words": None, "hapax_words": None, "word_entropy": None, "mtld": None}
    counts, n = Counter(words), len(words)
    return {
        "unique_words": len(counts) / n,
        "hapax_words": sum(uses == 1 for uses in counts.values()) / n,
        "word_entropy": -sum(uses / n * math.log(uses / n) for uses in counts.values()),
        "mtld": (mtld(words) + mtld(words[::-1])) / 2,
    }


def mtld(words: list[str]) -> float:
    """MTLD read in one direction (McCarthy and Jarvis 2010)."""
    factors, held = 0.0, list[str]()
    for word in words:
        held.append(word)
        if len(set(held)) / len(held) <= .72:
            factors, held = factors + 1, []
    if held:
        factors += (1 - len(set(held)) / len(held)) / .28
    return len(words) / factors if factors else len(words)


def deflated(text: str) -> float | None:
    data = text.encode()
    return len(zlib.compress(data, 6)) / len(data) if data else None
