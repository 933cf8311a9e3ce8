"""Text that another tool took out of a PDF, repaired: it has lines and nothing else that tells where a paragraph ends.

Running heads and page numbers go, broken words and lines are joined, headings told by their words, the references cut.
"""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ingest.texts.joined import LIGATURES, UNSEEN_SPACES, vocabulary, whole, without_pages
from ingest.texts.paged import END, FLOAT, ITEM, NAMED, NUMBERED
from ingest.texts.references import HEADING, references

PAGE_SIZE = 9000
"""Characters of a page of two columns at most."""
HEAD_GAP = 1500
"""Characters between two running heads at least, by the median: what recurs within less is a table's."""
SAME_PAGE = 300
NEAR = 6
"""Lines before and behind one that say how wide its column is."""
CONTROL = dict.fromkeys([*range(9), *range(11, 32)], " ")


@dataclass(frozen=True)
class Repaired:
    """A text as paragraphs, and what was cut: running heads and page numbers as lines, the references as one text."""

    text: str
    heads: int
    references: str
    place: int


def repaired(text: str) -> Repaired:
    """Return the text with its paragraphs whole; `place` is where the references stood."""
    lines = [" ".join(line.translate(LIGATURES).translate(UNSEEN_SPACES).translate(CONTROL).split()) for line in text.split("\n")]
    kept = _without_heads(without_pages(lines, size=PAGE_SIZE))
    heads = sum(map(bool, lines)) - sum(map(bool, kept))
    seen = vocabulary(kept)
    cut = references(kept)
    if cut is None:
        return Repaired("\n\n".join(_blocks(kept, seen)), heads, "", -1)
    before, gone, after = _blocks(kept[: cut[0]], seen), _blocks(kept[cut[0] : cut[1]], seen), _blocks(kept[cut[1] :], seen)
    return Repaired("\n\n".join([*before, *after]), heads, "\n\n".join(gone), len("\n\n".join(before)))


def _without_heads(lines: list[str]) -> list[str]:
    """The lines without those that recur, up to their digits, once a page: three times or more, far apart, of words for the most part."""
    places: dict[str, list[int]] = {}
    at = 0
    starts = []
    for line in lines:
        starts.append(at)
        at += len(line) + 1
        if 8 <= len(line) <= 120 and sum(map(str.isalpha, line)) > len(line) / 2:
            places.setdefault(re.sub(r"\d+", "#", line.lower()), []).append(starts[-1])
    heads = {
        said for said, found in places.items()
        if len(found) >= 3 and HEAD_GAP <= _gap(found) <= 4 * PAGE_SIZE and not END.search(said)
    }  # fmt: skip
    return [line for line in lines if not heads or re.sub(r"\d+", "#", line.lower()) not in heads]


def _gap(places: list[int]) -> float:
    """The characters between two places, by the median, those of one page taken together."""
    gaps = [gap for a, b in pairwise(places) if (gap := b - a) > SAME_PAGE]
    return median(gaps) if len(gaps) >= 2 else 0.0


def _blocks(lines: list[str], seen: Counter[str]) -> list[str]:
    """The paragraphs, headings and tables of some lines."""
    sizes = [len(line) for line in lines]
    out: list[str] = []
    held: list[str] = []
    loose: list[str] = []                                    # short lines that are no sentence: a table, a formula

    def close() -> None:
        if held:
            out.append(whole(held, seen, typeset=True))
            held.clear()
        if loose:
            out.append("\n".join(loose))
            loose.clear()

    for i, line in enumerate(lines):
        width = max(sizes[max(0, i - NEAR) : i + NEAR + 1])
        if not line:
            close()
        elif held and line.isdigit() and i + 1 < len(lines) and lines[i + 1][:1].islower() and not END.search(held[-1]):
            continue                                         # a page's number in the middle of a sentence
        elif _is_heading(line, held):
            close()
            out.append(f"## {line}")
        elif len(line) < 0.4 * width and not held and not END.search(line):
            loose.append(line)
        else:
            if loose or (held and _begins(line, held[-1], width)):
                close()
            held.append(line)
            if END.search(line) and len(line) < 0.8 * width:
                close()
    close()
    return out


def _is_heading(line: str, held: list[str]) -> bool:
    """Whether a line is a heading, by its words: they say what a part of a paper is called, or begin with its number."""
    named = NAMED.match(line) or HEADING.match(line)
    if len(line) > 90 or (held and not END.search(held[-1]) and not (named and line[0].isupper() and not held[-1].endswith(("-", ",", "the", "of")))):
        return False
    numbered = NUMBERED.match(line) and not line.endswith((".", ",", ";")) and len(line) < 70 and sum(map(str.isdigit, line)) < len(line) / 4
    return bool(named or numbered or (line.isupper() and len(line.split()) > 1 and sum(map(str.isalpha, line)) > 0.7 * len(line)))


def _begins(line: str, before: str, width: int) -> bool:
    return bool(END.search(before)) and bool(ITEM.match(line) or FLOAT.match(line) or (len(before) < 0.8 * width and line[:1].isupper()))
