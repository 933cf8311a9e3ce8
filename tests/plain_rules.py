"""The published rules of others once more, as plainly as they can be said: what our kernels are compared with, text by text."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from unicodedata import category

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
NOUNS = "likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views|followers"
COUNTER = re.compile(rf"^\W*\d(?:,|\.|\d)*[kmb]?\s+(?:{NOUNS})\W*$")
COOKIES = (
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "privacy overview", "use of cookies", "use cookies", "cookies policy",
    "without changing your cookie", "necessary cookies are", "cookies that may not be",
)  # fmt: skip
Numbers = dict[str, float | None]


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def dclm(text: str, words: Sequence[str]) -> Numbers:
    """DCLM's filters of documents; `words` are those that are not punctuation alone."""
    apart = text.split()
    found: Numbers = {
        "n_words": len(words),
        "stop_word_uses": sum(word.lower() in STOP_WORDS for word in apart),
        "mean_word_length": share(sum(map(len, apart)), len(apart)),
        "alpha_words": share(sum(any(map(str.isalpha, word)) for word in apart), len(apart)),
        "symbol_ratio": share(sum(text.count(sign) for sign in ("#", "...", ". . .", "…")), len(apart)),
    }
    lines = [line for raw in text.split("\n") if (line := raw.strip())]
    found["bullet_lines"] = share(sum(line.startswith(("●", "•", "*", "-")) for line in lines), len(lines))
    found["ellipsis_lines"] = share(sum(line.endswith(("...", ". . .", "…")) for line in lines), len(lines))
    for name, part in (("line", "\n"), ("para", "\n\n")):
        pieces = [piece for raw in text.split(part) if (piece := raw.strip())]
        again = {piece: uses for piece, uses in Counter(pieces).items() if uses > 1}
        found[f"dup_{name}_frac"] = share(sum(again.values()), len(pieces))
        found[f"dup_{name}_chars"] = share(sum(len(piece) * uses for piece, uses in again.items()), sum(map(len, pieces)))
    return found | {f"{'top' if n < 5 else 'dup'}_{n}gram": repeated(words, n) for n in range(2, 11)}


def repeated(words: Sequence[str], n: int) -> float | None:
    """Characters of the commonest run of n words (to 4), or of the words in runs that occur again, as a share of the words'."""
    runs = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    if not runs:
        return None
    uses = Counter(runs)
    most = max(uses.values())
    if most == 1:
        return 0.0
    if n < 5:
        return most * max(sum(map(len, run)) for run, times in uses.items() if times == most) / sum(map(len, words))
    places = {place for i, run in enumerate(runs) if uses[run] > 1 for place in range(i, i + n)}
    return sum(len(words[place]) for place in places) / sum(map(len, words))


def refinedweb(text: str) -> list[str]:
    """The lines that are left of a text by RefinedWeb's rules as DCLM sets them, blank ones left out."""
    return [kept for line in text.split("\n") if (kept := kept_of(line)).strip()]


def kept_of(line: str) -> str:
    if not line or sum(map(str.isupper, line)) > 0.5 * len(line) or all(map(str.isdigit, line)):
        return ""
    if COUNTER.search(line.lower()) or len(line.split()) < 2:
        return ""
    for phrase in (r"\s?items in cart", r"\s?Read more...$", r"^Sign-in\s?"):
        if len(line.split()) <= 10:
            line = re.sub(phrase, "", line, flags=re.IGNORECASE)
            if not line.strip():
                return ""
    return line


def nemo(text: str) -> Numbers:
    """NeMo Curator's heuristics."""
    size, words, lines = len(text), text.split(), [line for raw in text.split("\n") if (line := raw.strip())]
    paragraphs = text.lower().split("\n\n")
    boiler = sum(any(phrase in paragraph for phrase in COOKIES) for paragraph in paragraphs)
    ellipses = {"...", "[...]", "…", "(...)", "[…]", "-»"}
    return {
        "n_words": len(words),
        "longest_word": max(map(len, words), default=None),
        "non_prose": share(size - len(re.findall("[a-zA-Z0-9\n?!,.]", text)), size),
        "digits": share(sum(map(str.isdecimal, text)), size),
        "urls": share(sum(map(len, re.findall(r"https?://[^\x00-\x20\"'<>]+", text))), size),
        "white_space": share(sum(map(str.isspace, text)), size),
        "parentheses": share(len(re.findall(r"[{}()\[\]⟨⟩]", text)), size),
        "boilerplate": (1.0 if "lorem ipsum" in text.lower() else share(boiler, len(paragraphs))) if text else None,
        "unended_lines": share(sum(not line.endswith((".", "?", "!", '"', "'")) for line in lines), len(lines)),
        "bullet_lines": share(sum(line[0] in "•‣⁃⁌⁍∙○●◘◦⦾⦿" for line in lines), len(lines)),
        "symbol_words": share(sum(word in ellipses or len(re.findall("#+", word)) > 0.5 * len(word) for word in words), len(words)),
    }


def juicer(text: str, words: Sequence[str]) -> Numbers:
    """data-juicer's ratios; `words` are those that are not punctuation alone, in small letters."""
    lines = text.splitlines()
    characters = Counter(text[i : i + 10] for i in range(len(text) - 9))
    again = sorted((uses for uses in characters.values() if uses > 1), reverse=True)
    runs = Counter(tuple(words[i : i + 10]) for i in range(len(words) - 9))
    return {
        "n_words": len(words),
        "max_line_length": max(map(len, lines), default=0),
        "mean_line_length": share(len(text), len(lines)),
        "alnum": share(sum(map(str.isalnum, text)), len(text)),
        "special": share(sum(category(char)[0] not in "LM" for char in text), len(text)),
        "char_repetition": (sum(again[: math.isqrt(len(characters))]) / max(characters.total(), 1)) if text else None,
        "word_repetition": (sum(uses for uses in runs.values() if uses > 1) / max(runs.total(), 1)) if words else None,
        "stop_words": share(sum(word in STOP_WORDS for word in words), len(words)),
    }
