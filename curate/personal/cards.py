"""Numbers of payment cards: issuers, lengths, the usual groups, Luhn's check."""

import re
from collections.abc import Iterator

from curate.personal.checks import luhn

# Who issues what begins so (ISO/IEC 7812; the networks' published ranges): first and last prefix, the lengths there are.
ISSUERS = (
    ("4", "4", (13, 16, 19)), ("51", "55", (16,)), ("2221", "2720", (16,)), ("34", "34", (15,)), ("37", "37", (15,)),
    ("6011", "6011", (16, 19)), ("644", "659", (16, 19)), ("3528", "3589", (16, 19)), ("2131", "2131", (15,)), ("1800", "1800", (15,)),
    ("300", "305", (14,)), ("3095", "3095", (14,)), ("36", "36", (14,)), ("38", "39", (14,)), ("62", "62", (16, 17, 18, 19)),
    ("2200", "2204", (16, 17, 18, 19)), ("508", "508", (16,)), ("60", "60", (16,)), ("81", "82", (16,)),
    ("50", "50", (16,)), ("56", "58", (16,)), ("63", "63", (16,)), ("67", "67", (16,)),
)  # fmt: skip
COMMON = tuple((first, last, tuple({15, 16}.intersection(lengths))) for first, last, lengths in ISSUERS[:8])
"""Those whose 15 or 16 digits in a row count where no word says that they are a card's."""

NUMBER = re.compile(r"(?<!\d)(?<!\d[ .-])(?:\d{12,19}|\d{4}([ .-])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{4}([ .-])\d{6}\2\d{4,5})(?![ .-]?\d{4}(?!\d)|\d)")


def cards(body: str, labelled: bool) -> Iterator[tuple[int, int]]:
    """Yield start and end of each card's number in a stretch of digits. `labelled`: a word such as card stands beside it."""
    for match in NUMBER.finditer(body):
        digits = re.sub(r"\D", "", match[0])
        if (labelled or issued(digits, grouped=len(digits) < len(match[0]))) and luhn(digits) and len(set(digits)) > 1:
            yield match.span()


def issued(digits: str, *, grouped: bool) -> bool:
    """Say whether an issuer has cards of this length that begin so. Not `grouped` in the usual way: one of the common issuers'."""
    issuers = ISSUERS if grouped else COMMON
    return any(len(digits) in lengths and first <= digits[: len(first)] <= last for first, last, lengths in issuers)
