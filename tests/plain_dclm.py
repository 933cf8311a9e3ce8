"""DCLM-Baseline's decision over a page, said plainly: the filters and limits of its published configuration (Li et al. 2024;
mlfoundations/dclm, baselines_configs/dclm_baseline_refinedweb.yaml), from Gopher's rules to the share of words that its rules for lines take out.

Not here: what comes before (lists of addresses, addresses in the text, runs of newlines, language) and behind (a classifier).
"""

import re
from collections import Counter
from collections.abc import Sequence

from plain_rules import COUNTER, STOP_WORDS, repeated

SIGNS = ("#", "...", ". . .", "…")
BULLETS, ELLIPSES = ("●", "•", "*", "-"), ("...", ". . .", "…")
MOST_OF_RUNS = {2: .2, 3: .18, 4: .16, 5: .15, 6: .14, 7: .13, 8: .12, 9: .11, 10: .1}
PHRASES = (r"\s?items in cart", r"\s?Read more...$", r"^Sign-in\s?")


def dropped(text: str, words: Sequence[str], words_left: int) -> str | None:
    """Return the first filter that drops a page; `words` are those that are not punctuation alone, `words_left` how many `lines_left` leaves of them."""
    apart = text.split()
    lines = filled(text.split("\n"))
    if not 50 <= len(words) <= 100_000:
        return "length"
    if not 3 <= sum(map(len, apart)) / len(apart) <= 10:
        return "word_length"
    if sum(text.count(sign) for sign in SIGNS) / len(apart) > .1:
        return "symbols"
    if sum(line.startswith(BULLETS) for line in lines) > .9 * len(lines):
        return "bullets"
    if sum(line.endswith(ELLIPSES) for line in lines) > .3 * len(lines):
        return "ellipses"
    if sum(not any(map(str.isalpha, word)) for word in apart) / len(apart) > .2:
        return "letters"
    if sum(word.lower() in STOP_WORDS for word in apart) < 2:
        return "stop_words"
    return repetition(text, words) or ("lines" if (len(words) - words_left) / len(words) > .05 else None)


def repetition(text: str, words: Sequence[str]) -> str | None:
    parts = {name: filled(text.split(end)) for name, end in (("line", "\n"), ("paragraph", "\n\n"))}
    for unit, most, weight in (("", .3, lambda piece: 1), ("_chars", .2, len)):
        for name, pieces in parts.items():
            again = sum(weight(piece) * uses for piece, uses in Counter(pieces).items() if uses > 1)
            if again / sum(map(weight, pieces)) > most:
                return name + unit
    return next((f"runs of {n}" for n, most in MOST_OF_RUNS.items() if (repeated(words, n) or 0) > most), None)


def filled(pieces: Sequence[str]) -> list[str]:
    return [piece for raw in pieces if (piece := raw.strip())]


def lines_left(text: str) -> str:
    """Return what the rules for lines leave of a text. Each of them sees the whole that the one before leaves, and strips it."""
    for stays in (
        lambda line: not line or sum(map(str.isupper, line)) / len(line) <= .5,
        lambda line: not line or sum(map(str.isdigit, line)) / len(line) <= .999999,
        lambda line: not COUNTER.search(line.lower()),
    ):
        text = "\n".join(filter(stays, text.split("\n"))).strip()
    text = "\n".join(line for line in text.split("\n") if not line or len(line.split()) >= 2)
    for phrase in PHRASES:
        lines = [without(phrase, line) for line in text.split("\n")]
        text = "\n".join(line for line in lines if line is not None).strip()
    return text


def without(phrase: str, line: str) -> str | None:
    """A line of at most ten words less a phrase; None where nothing else was on it."""
    if not line or len(line.split()) > 10:
        return line
    rest = re.sub(phrase, "", line, flags=re.IGNORECASE)
    return rest if rest and not rest.isspace() else None
