"""Paragraphs of about equal size, and the head of a text, in walks over bytes: what `curate.language` judges."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from catalog.eight import HIGH, eight, is_plain, letters_of, many
from catalog.schema import mix64
from catalog.split import ALPHA, UPPER, Bytes, Offsets, Table, decode

WORDS = 6  # of a paragraph from which its words say whether it is in the language of the head
LEAST, MOST = 40, 400  # letters of a paragraph: with fewer it joins the next one, with more it is several
IN_WORD = np.arange(256, dtype=np.uint8)  # the small letter of each byte of a word in `find_alike`, 0 of others
IN_WORD[:128] = [ord(chr(code).lower()) if chr(code).isalpha() else 0 for code in range(128)]

Pieces = tuple[Offsets, Offsets, Offsets, Offsets]
Plan = tuple[Offsets, Offsets, Offsets]
Walked = tuple[Bytes, Offsets, Offsets, Offsets, Offsets, Pieces]


@numba.njit(cache=True, nogil=True)
def walk(data: Bytes, offsets: Offsets, head: int, table: Table, scripts: Bytes) -> Walked:
    """Return the bytes without what CLD2 refuses, and of each text: where its head ends, the head's letters, capitals and script, its paragraphs.

    The paragraphs of text d are those from of[d] to of[d + 1]: where each starts and ends in the bytes, and how many letters it has.
    """
    clean, rows = data.copy(), offsets.size - 1
    heads, letters, capitals, main = np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    room = data.size // LEAST + rows + 1
    of, starts, ends, sizes = np.zeros(rows + 1, np.int64), np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    seen, count = np.zeros(256, np.int64), 0
    for d in range(rows):
        i, stop, start, held = offsets[d], offsets[d + 1], offsets[d], 0
        heads[d], letters[d], capitals[d], main[d] = _head(data, i, stop, head, table, scripts, seen)
        while i < stop:
            i, held = _leap(data, i, stop, held)
            if i == stop:
                break
            code, width = decode(data, i)
            if table[code] & ALPHA:
                held += 1
                i += width
                if held < MOST + MOST // 4:
                    continue
            elif code > 0x20 and code < 0x7F:
                i += 1
                continue
            else:
                if _refused(code):
                    clean[i : i + width] = 0x20
                i += width
            if (code == 0x0A and held >= LEAST) or (held >= MOST and (code == 0x20 or held >= MOST + MOST // 4)):
                starts[count], ends[count], sizes[count] = start, i, held
                count, start, held = count + 1, i, 0
        if held >= LEAST or (held and count == of[d]):
            starts[count], ends[count], sizes[count] = start, stop, held
            count += 1
        elif held:
            ends[count - 1] = stop
            sizes[count - 1] += held
        of[d + 1] = count
    return clean, heads, letters, capitals, main, (of, starts[:count], ends[:count], sizes[:count])


@numba.njit(cache=True, nogil=True)
def _leap(data: Bytes, i: Any, stop: int, held: Any) -> tuple[Any, Any]:
    """Return where the bytes end that come by eight, all of ASCII, no control among them, and no border of a paragraph, and the letters up to there."""
    while held < MOST - 8 and i + 8 <= stop:
        part = eight(data, i)
        if not is_plain(part):
            break
        held += many(letters_of(part))
        i += 8
    return i, held


@numba.njit(cache=True, nogil=True)
def _head(data: Bytes, start: int, stop: int, head: int, table: Table, scripts: Bytes, seen: Offsets) -> tuple[int, int, int, int]:
    """Return where the first `head` characters end, how many letters and capitals are among them, and the letters' main script."""
    seen[:] = 0
    i: Any = start
    letters = capitals = at = 0
    while i < stop and at < head:
        if i + 8 <= stop and at + 8 <= head:
            part = eight(data, i)
            if not part & HIGH:                           # ASCII: its letters are all of one script
                found = letters_of(part)
                count = many(found)
                letters += count
                capitals += many(found & ~(part << np.uint64(2)))
                seen[scripts[0x61]] += count
                i += 8
                at += 8
                continue
        code, width = decode(data, i)
        entry = table[code]
        if entry & ALPHA:
            letters += 1
            capitals += entry & UPPER > 0
            seen[scripts[code]] += 1
        i += width
        at += 1
    return i, letters, capitals, int(np.argmax(seen))


@numba.njit(cache=True, nogil=True)
def find_alike(data: Bytes, offsets: Offsets, told: Offsets, of: Offsets, starts: Offsets, ends: Offsets) -> npt.NDArray[np.bool_]:
    """Say of each paragraph whether a third of its words, of six or more, stand in the head of its text, which ends at told[d]: it is in the same language
    then. Not said where told[d] is 0.

    Words here are two or more ASCII letters and bytes beyond ASCII, in small letters; the table has a place for each of 2,048, the first that comes keeps it.
    """
    out, held = np.zeros(starts.size, np.bool_), np.zeros(2048, np.uint32)
    for d in range(of.size - 1):
        if not told[d] or of[d] == of[d + 1] or ends[of[d + 1] - 1] <= told[d]:
            continue
        held[:] = 0
        i = offsets[d]
        while i < told[d]:
            i, word = _next_word(data, i, told[d])
            if word and not held[word >> np.uint64(53)]:
                held[word >> np.uint64(53)] = np.uint32(word)
        for k in range(of[d], of[d + 1]):
            i, every, met = max(starts[k], told[d]), 0, 0
            while i < ends[k]:
                i, word = _next_word(data, i, ends[k])
                every += word > 0
                met += (word > 0) & (held[word >> np.uint64(53)] == np.uint32(word))
            out[k] = every >= WORDS and 3 * met >= every
    return out


@numba.njit(cache=True, nogil=True)
def _next_word(data: Bytes, at: Any, stop: int) -> tuple[Any, np.uint64]:
    """Return where the next word ends, and its hash; 0 for one of a single byte, or none."""
    while at < stop and not IN_WORD[data[at]]:
        at += 1
    start, h = at, np.uint64(0xCBF29CE484222325)
    while at < stop and IN_WORD[data[at]]:
        h = (h ^ np.uint64(IN_WORD[data[at]])) * np.uint64(0x100000001B3)
        at += 1
    return at, mix64(h) if at - start > 1 else np.uint64(0)


@numba.njit(cache=True, nogil=True)
def _refused(code: int) -> bool:
    """Say whether CLD2 takes no text with this character: a control, or a code point that is no character."""
    control = code < 0x20 and not (code == 0x09 or code == 0x0A or code == 0x0C or code == 0x0D)
    return control or 0x7F <= code <= 0x9F or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE


@numba.njit(cache=True, nogil=True)
def plan_judging(
    of: Offsets, ends: Offsets, sizes: Offsets, alike: npt.NDArray[np.bool_], told: Offsets, coded: npt.NDArray[np.bool_], most: int
) -> Plan:
    """Return, a row a document, the letters of those of its paragraphs looked at that are known to be in its language (-1 without a code, or where none is to
    be looked at), and the offsets of those to be judged in a list of them.

    Paragraphs that end before the byte told[row] are known: they are not judged again. Neither are those that are `alike`, where told[row] says that the head
    is in one language.
    """
    own, firsts, asked = np.full(coded.size, -1, np.int64), np.zeros(coded.size + 1, np.int64), np.empty(ends.size, np.int64)
    count = 0
    for row in range(coded.size):
        if coded[row] and most:
            own[row] = 0
            first, many = of[row], of[row + 1] - of[row]
            for k in range(min(many, most)):
                at = first + (k * many // most if many > most else k)
                if many > 1 and ends[at] > told[row] and not (alike[at] and told[row]):
                    asked[count] = at
                    count += 1
                else:
                    own[row] += sizes[at]
        firsts[row + 1] = count
    return own, firsts, asked[:count]
