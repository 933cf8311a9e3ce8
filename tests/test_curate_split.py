"""What a word and a line are, and that the split loses, doubles and moves nothing."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.eight import hash_run
from catalog.lines import BLANK, ENDED, split_lines
from catalog.schema import hash_text, text_bytes
from catalog.split import (
    ALPHA,
    DIGIT,
    ELLIPSIS,
    HASH,
    PUNCT,
    SYMBOL,
    TERMINAL,
    UPPER,
    WHITE,
    Words,
    characters,
    line_end,
    split_words,
    stripped,
)
from catalog.stage import widened, words

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text("aB1. ,'-·…#\n\r\x85\u2028ßİΣ日ไ́👍", max_size=60)


def split(*texts: str) -> Words:
    return split_words(*text_bytes(pl.Series(texts, dtype=pl.String)))


def spelt(text: str) -> list[str]:
    words = split(text)
    return [words.data[start:end].tobytes().decode() for start, end in zip(words.starts, words.ends, strict=True)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("two words", "two|words"),
        ("Stop. Now!", "Stop|.|Now|!"),
        ("don't John's l'été 'quoted' rock’n’roll", "don|'t|John|'s|l|'été|'|quoted|'|rock|’n|’roll"),
        ("well-known COVID-19 2019-12-31 -5 a- 3-", "well|-|known|COVID-19|2019-12-31|-|5|a|-|3|-"),
        ("3.14 1,000 1,a 1. v1.2.3", "3.14|1,000|1|,|a|1|.|v1.2.3"),
        ("U.S. e.g. example.com end.Start Mr. a.m.... B.", "U.S.|e.g.|example.com|end|.|Start|Mr|.|a.m|....|B|."),
        ("wait... no…… ###x -- ?!", "wait|...|no|……|###|x|--|?|!"),
        ("snake_case x_1 __init__", "snake_case|x_1|__init__"),
        ("paral·lel a·1 ·b", "paral·lel|a|·|1|·|b"),
        ("今天 テスト한국어", "今|天|テ|ス|ト|한국어"),
        ("ก็ไป ພາສາ ខ្មែរ", "ก็|ไ|ป|ພ|າ|ສ|າ|ខ្|មែ|រ"),
        ("naïve cafe\u0301 नमस्ते", "naïve|cafe\u0301|नमस्ते"),
        ("👍👍🏽 👨‍👩", "👍👍|🏽|👨\u200d|👩"),
        ("soft\u00adhyphen zero\u200bwidth left\u200eright \ufeffbom", "soft\u00adhyphen|zero|width|left|right|bom"),
        ("\x00nul\x07bell\x1c", "nul|bell"),
        ("", ""),
        (" \n\t\u3000", ""),
    ],
)  # fmt: skip
def test_words_are_those_of_the_definition(text: str, words: str) -> None:
    assert spelt(text) == [word for word in words.split("|") if word]


@pytest.mark.parametrize(
    ("word", "flags"),
    [
        ("word", ALPHA),
        ("Word", ALPHA | UPPER),
        ("a1", ALPHA | DIGIT),
        ("12", DIGIT),
        ("½", 0),
        (".", SYMBOL | PUNCT | TERMINAL),
        ("。", SYMBOL | PUNCT | TERMINAL),
        ("...", SYMBOL | PUNCT | ELLIPSIS),
        ("..", SYMBOL | PUNCT),
        ("…", SYMBOL | PUNCT | ELLIPSIS),
        ("##", SYMBOL | PUNCT | HASH),
        ("$", SYMBOL),
        ("•", PUNCT),
        ("👍", 0),
        ("_", SYMBOL | PUNCT),
        ("日", ALPHA),
    ],
)
def test_flags_tell_what_a_word_is_made_of(word: str, flags: int) -> None:
    assert split(word).flags.tolist() == [flags]


@given(st.lists(TEXTS, max_size=5))
@settings(max_examples=300, deadline=None)
def test_words_cover_all_that_is_no_space_once_and_in_order(texts: list[str]) -> None:
    words, table = split(*texts), characters()[0]
    assert words.documents.tolist() == sorted(words.documents.tolist())
    for d, text in enumerate(texts):
        span = slice(words.documents[d], words.documents[d + 1])
        pieces = [words.data[a:b].tobytes().decode() for a, b in zip(words.starts[span], words.ends[span], strict=True)]
        assert "".join(pieces) == "".join(c for c in text if table[ord(c)] >> 8 & 7)
        assert all(a <= b for a, b in pairwise(words.starts[span]))
        assert words.lengths[span].tolist() == [len(piece) for piece in pieces]
        assert words.hashes[span].tolist() == [hash_text(piece) for piece in pieces]
        small = ["".join("i" if c == "İ" else c.lower() for c in piece) for piece in pieces]
        assert words.lowers[span].tolist() == [hash_text(piece) for piece in small]


@given(st.lists(TEXTS, min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_lines_are_what_stands_between_newlines(texts: list[str]) -> None:
    lines = split_lines(*text_bytes(pl.Series(texts, dtype=pl.String)))
    for d, text in enumerate(texts):
        span, pieces = slice(lines.documents[d], lines.documents[d + 1]), text.split("\n")
        assert [lines.data[a:b].tobytes().decode() for a, b in zip(lines.starts[span], lines.ends[span], strict=True)] == pieces
        assert lines.lengths[span].tolist() == [len(piece) for piece in pieces]
        assert lines.hashes[span].tolist() == [hash_run(np.frombuffer(piece.encode(), np.uint8), 0, len(piece.encode())) for piece in pieces]
        assert [bool(flags & BLANK) for flags in lines.flags[span]] == [not piece.strip() for piece in pieces]
        ended = [bool(piece) and bool(characters()[0][ord(piece[-1])] & TERMINAL) for piece in pieces]
        assert [bool(flags & ENDED) for flags in lines.flags[span]] == ended


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_breaks_and_white_space_are_those_of_python(text: str) -> None:
    data, at, lines = np.frombuffer(text.encode(), np.uint8), 0, []
    while at < data.size:
        end, after = line_end(data, at, data.size)
        lines.append(data[at:end].tobytes().decode())
        at = after
    assert lines == text.splitlines()
    start, end = stripped(data, 0, data.size, characters()[0])
    assert data[start:end].tobytes().decode() == text.strip()


def test_white_space_is_that_of_python_for_every_character() -> None:
    table = characters()[0]
    assert {code for code in range(0x110000) if chr(code).isspace()} == set(np.flatnonzero(table & WHITE).tolist())
    assert {code for code in range(0x20000) if chr(code).isalpha()} == set(np.flatnonzero(table[:0x20000] & ALPHA).tolist())


def test_a_text_full_of_signs_outgrows_the_first_room() -> None:
    text = "a;" * 5000
    assert len(split(text, "x", text).starts) == 20_001


def test_a_slice_of_a_column_is_split_like_a_column() -> None:
    column = pl.Series(["not me", None, "é two", "three"])
    words = split_words(*text_bytes(column[1:3]))
    assert words.documents.tolist() == [0, 0, 2]


def test_a_batch_with_more_columns_is_not_split_again() -> None:
    """A stage that reads what another wrote gets the batch with that beside it, and the words that are there."""
    batch = pl.DataFrame({"text": ["the mill", "stands"]})
    found = words(batch)
    wide = widened(batch.with_columns(x=1), batch)
    assert words(wide) is found and words(batch) is found
    other = pl.DataFrame({"text": ["the mill"]})
    assert words(other) is not found and words(wide).documents.size == 3
