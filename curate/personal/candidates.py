"""Where personal data may stand: one pass over the bytes of many texts, so that text without any costs next to nothing."""

import numba
import numpy as np

from catalog.split import Bytes, Offsets
from curate.personal.accounts import LENGTHS, country

MAIL, QUAD, COLONS, NUMBER, TOKEN, ACCOUNT = range(6)
"""An @ in an address; a dotted quad; IPv6 by its first group; a stretch of digits; a word of letters and digits; an IBAN whose check is right."""

LONGEST = 96   # bytes of one stretch of digits; a longer one goes on as another
MANY = 64      # digits that follow each other in this number are no number of anybody's
WALLET = 25    # letters and digits of the shortest address of a wallet
FEWEST = 7     # digits of the shortest telephone number and identity number


@numba.njit(cache=True, nogil=True)
def candidates(data: Bytes, texts: Offsets) -> Offsets:
    """Return rows of (text, kind, start, end), places in bytes of `data`, by rising start. An @ and a quad say where they start only."""
    out = np.empty((64, 4), np.int64)
    count = 0
    for d in range(texts.size - 1):
        start, stop, i, done = texts[d], texts[d + 1], texts[d], texts[d]
        while i < stop:
            if 0x61 <= data[i] | 0x20 <= 0x7A:               # most bytes: letters, with nothing but letters up to the end of the word
                end = _letters(data, start, i, stop)
                if end:
                    i = end
                    continue
            if count + 2 > out.shape[0]:
                out = np.concatenate((out, np.empty_like(out)))
            b = data[i]
            kind, end, on = _sort(data, start, i, stop)
            if kind >= 0:
                out[count] = d, kind, i, end
                count += 1
            if i >= done and (0x30 <= b <= 0x39 or b == 0x2B or b == 0x28):
                end, done = _stretch(data, start, i, stop)
                if end:
                    out[count] = d, NUMBER, i, end
                    count += 1
            i = on
    return out[:count]


@numba.njit(cache=True, nogil=True)
def _letters(data: Bytes, start: int, at: int, stop: int) -> int:
    """Return the end of the letters at a byte if nothing can begin there: no digit ends them, they are too few for a wallet, or a word has begun before."""
    if at > start and (alphanumeric(data[at - 1]) or data[at - 1] == 0x5F):
        return at + 1
    end = at + 1
    while end < stop and 0x61 <= data[end] | 0x20 <= 0x7A:
        end += 1
    return 0 if end - at >= WALLET or (end < stop and 0x30 <= data[end] <= 0x39) else end


@numba.njit(cache=True, nogil=True, inline="always")
def _sort(data: Bytes, start: int, i: int, stop: int) -> tuple[int, int, int]:
    """Return what may begin at a byte (-1 for nothing, or no more than a number), where it ends, and the byte from which to look on."""
    b = data[i]
    if b == 0x40:
        return (MAIL if i > start and named(data[i - 1]) and _labelled(data, i + 1, stop) else -1), i, i + 1
    if not alphanumeric(b):
        return -1, i, i + 1
    quad = _quad(data, i, stop) if 0x30 <= b <= 0x39 and _free(data, start, i) else 0
    if quad:
        return QUAD, i + quad, i + quad
    if i > start and (alphanumeric(data[i - 1]) or data[i - 1] == 0x5F):
        return -1, i, i + 1
    on = _word(data, i, stop)
    if on - i == 4 and 0x32 <= b <= 0x33 and on < stop and data[on] == 0x3A and _hexadecimal(data, i, on):
        return COLONS, i, on
    end = _account(data, i, stop)
    if end:
        return ACCOUNT, end, on
    return (TOKEN if _token(data, i, on) else -1), on, on


@numba.njit(cache=True, nogil=True)
def alphanumeric(byte: int) -> bool:
    """Say whether a byte is an ASCII letter or digit."""
    return 0x61 <= byte | 0x20 <= 0x7A or 0x30 <= byte <= 0x39


@numba.njit(cache=True, nogil=True)
def named(byte: int) -> bool:
    """Say whether a byte can be part of a name: ASCII letters, digits and _ + - %, and all that is not ASCII."""
    return alphanumeric(byte) or byte >= 0x80 or byte in (0x5F, 0x2B, 0x2D, 0x25)


@numba.njit(cache=True, nogil=True)
def _word(data: Bytes, at: int, stop: int) -> int:
    """Return the end of the ASCII letters and digits at a byte."""
    while at < stop and alphanumeric(data[at]):
        at += 1
    return at


@numba.njit(cache=True, nogil=True)
def _token(data: Bytes, at: int, end: int) -> bool:
    """Say whether a word may be an identity number (9 to 18 capitals and digits, 6 digits or more) or the address of a wallet (25 to 110, mixed)."""
    size = end - at
    if size < 8 or size > 110 or 18 < size < WALLET:
        return False
    digits = small = 0
    for i in range(at, end):
        digits += data[i] <= 0x39
        small += data[i] >= 0x61
    if digits == size:
        return False
    if size >= WALLET:
        return bool(_wallet(data, at, size))
    return bool(small == 0 and digits >= 6)


@numba.njit(cache=True, nogil=True)
def _wallet(data: Bytes, at: int, size: int) -> bool:
    """Say whether a word begins as the addresses of its length do (curate/personal/wallets.py)."""
    a, b, c = int(data[at]), int(data[at + 1]), int(data[at + 2])
    if size <= 35:
        return a in (0x31, 0x33, 0x44, 0x4C, 0x4D, 0x54, 0x58, 0x72, 0x74)  # 1 3 D L M T X r t
    if size == 42 and a == 0x30 and b | 0x20 == 0x78:
        return True
    return (a | 0x20 == 0x62 and b | 0x20 == 0x63 and c == 0x31) or (a | 0x20 == 0x6C and b | 0x20 == 0x74 and c | 0x20 == 0x63)


@numba.njit(cache=True, nogil=True)
def _account(data: Bytes, at: int, stop: int) -> int:
    """Return where the IBAN at a byte ends, 0 where there is none: a country's length, alone or in groups of four, and the check modulo 97."""
    if at + 15 > stop or data[at] < 0x41 or data[at + 1] < 0x41 or data[at + 2] > 0x39 or data[at + 3] > 0x39:
        return 0
    length = LENGTHS[country(data[at], data[at + 1])]
    if length == 0:
        return 0
    spaced = data[at + 4] == 0x20
    i, taken, rest, head = at, 0, 0, 0
    while taken < length:
        if spaced and taken % 4 == 0 and taken:
            if i >= stop or data[i] != 0x20:
                return 0
            i += 1
        if i >= stop or not alphanumeric(data[i]):
            return 0
        value = data[i] - 0x30 if data[i] <= 0x39 else (data[i] | 0x20) - 0x57
        if taken < 4:  # the country and the check digits are read last
            head = head * (10 if value < 10 else 100) + value
        else:
            rest = (rest * (10 if value < 10 else 100) + value) % 97
        i, taken = i + 1, taken + 1
    if i < stop and (alphanumeric(data[i]) or data[i] == 0x5F):
        return 0
    return i if (rest * 1_000_000 + head) % 97 == 1 else 0


@numba.njit(cache=True, nogil=True)
def _hexadecimal(data: Bytes, at: int, end: int) -> bool:
    """Say whether all bytes are hexadecimal."""
    wrong = 0
    for i in range(at, end):
        wrong += not (0x30 <= data[i] <= 0x39 or 0x61 <= data[i] | 0x20 <= 0x66)
    return wrong == 0


@numba.njit(cache=True, nogil=True)
def _stretch(data: Bytes, start: int, at: int, stop: int) -> tuple[int, int]:
    """Return where the stretch of digits at a byte and of what may stand between them ends, 0 if none may be, and the byte from which to look on.

    Between digits: up to four of space, - . / ( ) and their no-break and typographic kin. A letter or two may end it (12345678-Z), and x with more digits.
    """
    i = at
    while i < stop and i < at + 3 and (data[i] == 0x2B or data[i] == 0x28):
        i += 1
    if i == stop or not 0x30 <= data[i] <= 0x39:
        return 0, at + 1
    if not _begins(data, start, at):
        return 0, max(_word(data, i, stop), at + 1)
    few = FEWEST - (at > start + 2 and data[at - 1] == 0x20 and 0x41 <= data[at - 2] <= 0x5A)  # AB 12 34 56 C
    digits, last, plain = 0, i, True
    mark = data[min(_word(data, i, stop), stop - 1)]
    while i - at <= LONGEST:
        first = i
        while i < stop and 0x30 <= data[i] <= 0x39:
            i += 1
        if i - first > MANY:
            return 0, i
        follows = i if i < stop and _inner(data[i]) else _between(data, i, stop)
        tail = _tail(data, follows, stop) if follows and data[follows] > 0x39 else 0
        if follows != i or tail:  # else the digits belong to a word
            digits, last = digits + i - first, tail if tail else i
        if follows == 0 or data[follows] > 0x39:
            return (last if digits >= few else 0), max(i, tail)
        plain = plain and follows == i + 1 + (data[i] == 0xC2) and data[i] == mark
        i = follows
    return (0, _row(data, i, stop, mark)) if plain else (last if digits >= few else 0, i)


@numba.njit(cache=True, nogil=True)
def _inner(byte: int) -> bool:
    """Say whether a byte makes a word of the digits before it."""
    return alphanumeric(byte) or byte == 0x5F or byte == 0x40


@numba.njit(cache=True, nogil=True)
def _row(data: Bytes, at: int, stop: int, mark: int) -> int:
    """Return the end of a row of numbers between which one and the same sign stands: a table, which is nobody's number."""
    while at < stop and (0x30 <= data[at] <= 0x39 or data[at] == mark or (data[at] == 0xA0 and mark == 0xC2)):
        at += 1
    return at


@numba.njit(cache=True, nogil=True)
def _between(data: Bytes, at: int, stop: int) -> int:
    """Return where what stands between two digits (or a digit and a last letter) ends, 0 where it is not what may stand there."""
    i = at
    for _ in range(4):
        if i >= stop:
            return 0
        b = data[i]
        if alphanumeric(b):
            return i if i > at else 0
        if b == 0x2E and i + 1 < stop and data[i + 1] == 0x20:
            return 0  # the end of a sentence
        if b in (0x20, 0x2D, 0x2E, 0x2F, 0x28, 0x29):
            i += 1
        elif b == 0xC2 and i + 1 < stop and data[i + 1] == 0xA0:
            i += 2
        elif b == 0xE2 and i + 2 < stop and data[i + 1] == 0x80 and (0x90 <= data[i + 2] <= 0x93 or data[i + 2] == 0xAF):
            i += 3
        else:
            return 0
    return 0


@numba.njit(cache=True, nogil=True)
def _tail(data: Bytes, at: int, stop: int) -> int:
    """Return where one or two capitals that end a number end, or an `x` and the digits of an extension, or a letter amid an identity number; else 0."""
    i = at
    if data[i] == 0x78 and i + 1 < stop and 0x30 <= data[i + 1] <= 0x39:
        i += 1
        while i < stop and i < at + 7 and 0x30 <= data[i] <= 0x39:
            i += 1
    else:
        while i < stop and i < at + 2 and 0x41 <= data[i] <= 0x5A:
            i += 1
    if i == at or (i < stop and (alphanumeric(data[i]) or data[i] == 0x5F or data[i] == 0x40)):
        return 0
    return i


@numba.njit(cache=True, nogil=True)
def _begins(data: Bytes, start: int, at: int) -> bool:
    """Say whether a number may begin at a byte: within no word, decimal, path or longer number."""
    if at == start:
        return True
    b = data[at - 1]
    if alphanumeric(b) or b in (0x5F, 0x40):
        return False
    near = at - 2 >= start and alphanumeric(data[at - 2])
    if b in (0x2E, 0x2C):
        return not (near and data[at - 2] <= 0x39)
    if b == 0x2D and near:  # X-1234567-L
        return 0x41 <= data[at - 2] <= 0x5A and (at - 3 < start or not (alphanumeric(data[at - 3]) or data[at - 3] in (0x2D, 0x5F)))
    return not (near and b == 0x2B)


@numba.njit(cache=True, nogil=True)
def _labelled(data: Bytes, at: int, stop: int) -> bool:
    """Say whether a domain's first name and its dot stand at a byte."""
    i = at
    while i < min(stop, at + 64) and data[i] < 0x80 and named(data[i]):
        i += 1
    return i > at and i < stop and data[i] == 0x2E


@numba.njit(cache=True, nogil=True)
def _free(data: Bytes, start: int, at: int) -> bool:
    """Say whether a quad may start at a byte: behind no name, number or dot, and behind a hyphen only where no letter has it."""
    if at == start:
        return True
    if data[at - 1] == 0x2D:
        return not (at - 2 >= start and 0x61 <= data[at - 2] | 0x20 <= 0x7A)
    return data[at - 1] >= 0x80 or not (named(data[at - 1]) or data[at - 1] == 0x2E)


@numba.njit(cache=True, nogil=True)
def _quad(data: Bytes, at: int, stop: int) -> int:
    """Return the size of the four dotted numbers (0 to 255, no leading zeros) at a byte, 0 where they are not, or are part of more."""
    i = at
    for part in range(4):
        first, value = i, 0
        while i < stop and i < first + 3 and 0x30 <= data[i] <= 0x39:
            value = value * 10 + data[i] - 0x30
            i += 1
        if i == first or value > 255 or (data[first] == 0x30 and i > first + 1):
            return 0
        if part < 3:
            if i == stop or data[i] != 0x2E:
                return 0
            i += 1
    if i < stop and data[i] < 0x80 and named(data[i]) and data[i] != 0x2D:
        return 0
    if i + 1 < stop and (data[i] == 0x2E or data[i] == 0x2D) and data[i + 1] < 0x80 and named(data[i + 1]):
        return 0 if data[i] == 0x2E or not 0x30 <= data[i + 1] <= 0x39 else i - at
    return i - at
