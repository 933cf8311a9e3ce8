"""What is read eight bytes at a time says what one byte at a time would, wherever a stretch begins and ends."""

import numpy as np
import pytest

from catalog.eight import characters_in, next_newline, next_odd, same
from curate.text.spaced import white_of

TEXT = "Now,\n\nnaïve Zürich\tñ 日本語 — no end…\n\x1f\x20\x7f\x0b a longer stretch of plain letters and 10 digits\n"


@pytest.mark.parametrize("start", range(9))
def test_bytes_are_found_and_characters_counted_as_one_by_one(start: int) -> None:
    raw = TEXT.encode()
    data = np.frombuffer(raw, np.uint8)
    for stop in range(start, data.size):
        piece = raw[start:stop]
        newline = piece.find(b"\n")
        assert next_newline(data, start, stop) == (stop if newline < 0 else start + newline)
        assert characters_in(data, start, stop) == sum(byte & 0xC0 != 0x80 for byte in piece)
        odd = next((start + i for i, byte in enumerate(piece) if byte < 0x20 or byte >= 0x80), stop)
        assert next_odd(data, start, stop) == odd or (next_odd(data, start, stop) < odd and stop - next_odd(data, start, stop) < 8)


def test_of_eight_bytes_spaces_and_newlines_are_told_from_all_others() -> None:
    for byte in range(256):
        word = np.uint64(int.from_bytes(bytes([0x61, byte, 0x20, 0x62, 0x0A, byte, 0x7A, 0x41]), "little"))
        simple, white = white_of(word)
        assert simple == (byte == 0x0A or 0x20 <= byte < 0x80)
        if simple:
            assert int(white) == 0x80 << 16 | 0x80 << 32 | ((0x80 << 8 | 0x80 << 40) if byte in (0x20, 0x0A) else 0)
        assert bool(same(word, byte)) and bool(same(word, 0x58)) == (byte == 0x58)
