"""What a candidate is: each kind asked in turn, those with the strongest checks first."""

import re
from collections.abc import Iterator

from curate.personal.cards import cards
from curate.personal.context import CARD, DATE, MAYBE, OTHER, PHONE, label, linked, meanings, signed
from curate.personal.identities import BY_NAME, identities, labels
from curate.personal.phones import phones
from curate.personal.wallets import wallet

Span = tuple[int, int, str]                                               # start, end, kind
KNOWN = meanings(labels())
PLAIN = str.maketrans("\u00a0\u202f\u2010\u2011\u2012\u2013", "  ----")
"""Typographic spaces and hyphens, a character for a character."""
LETTERED = re.compile(r"(?<![\w-])(?:[A-Z]{2} |[XYZ][ -]?)$")             # what of an identity number may stand before its digits
DOI = re.compile(r"10\.\d{4,9}/")
MONEY = re.compile(r"\b(?:wallets?|eth|ether(?:eum|scan)?|erc-?\d+|tokens?|contract|metamask|donat\w+|crypto\w*|address(?:es)?|send|sent|payable|0x)\b|:$")


def judge_number(before: str, body: str, after: str, regions: tuple[str, ...]) -> list[Span]:
    """Return what personal numbers a stretch of digits holds, in order and apart, as places in `body` (below 0 where letters before it belong to one)."""
    body = body.translate(PLAIN)
    if DATE.fullmatch(body) or DOI.match(body) or linked(before):
        return []
    kinds = label(before, after, KNOWN)
    if kinds == (OTHER,):
        return []
    found: list[Span] = []
    for start, end, kind in _found(before, body, kinds, signed(before, after), regions):
        if all(end <= first or last <= start for first, last, _ in found):
            found.append((start, end, kind))
    return sorted(found)


def _found(before: str, body: str, kinds: tuple[str, ...], in_signs: bool, regions: tuple[str, ...]) -> Iterator[Span]:
    lead = LETTERED.search(before)
    letters = lead[0] if lead else ""
    named = tuple(kind for kind in kinds if kind in BY_NAME)
    for start, end in identities(letters + body, named):
        yield start - len(letters), end - len(letters), "id"
    if kinds != (MAYBE,) and (CARD in kinds or not in_signs):
        for start, end in cards(body, CARD in kinds):
            yield start, end, "card"
    if not named and CARD not in kinds and (PHONE in kinds or not in_signs) and not before.endswith("-"):
        for start, end in phones(body, regions, labelled=PHONE in kinds):
            yield start, end, "phone"


def judge_word(before: str, word: str, after: str) -> list[Span]:
    """Return a word of letters and digits as an identity number or a wallet's address, if it is one."""
    if len(word) >= 25:
        named = MONEY.search(before[-48:].lower()) is not None
        return [(0, len(word), "wallet")] if wallet(word, labelled=named) else []
    if linked(before) or before.endswith(("-", "#")) or after[:2].strip(".")[:1] == "-":
        return []
    kinds = label(before, after, KNOWN)
    if kinds == (OTHER,):
        return []
    return [(start, end, "id") for start, end in identities(word, tuple(kind for kind in kinds if kind in BY_NAME))][:1]
