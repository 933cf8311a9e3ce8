"""Letters of scripts without spaces, joined to pieces as long as words: against plain Python, and for what rules need of them."""

import gzip
import json
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalog.schema import hash_text, text_bytes
from catalog.split import SYMBOL, Words, split_words
from curate import fineweb, gopher
from curate.text.joined import ENDS_AFTER, HAN_ALONE, JOINED, KANA, LONGEST, joined

MASK = (1 << 64) - 1
NAMES = ("CJK", "HIRAGANA", "KATAKANA")
PARTS = [
    "今天", "天气", "很好", "。", "日本", "の", "水車", "は", "コーヒー", "です", "ไทย", "น้ำ", "ที่", "ລາວ", "ខ្មែរ", "မြန်မာ",
    "the mill", " ", "\n", "7", "々", "ー", "한국", "é",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PARTS), max_size=30).map("".join) | st.text(max_size=40)


def split(texts: list[str]) -> Words:
    return split_words(*text_bytes(pl.Series(texts, dtype=pl.String)))


def spelt(words: Words) -> list[list[str]]:
    raw = words.data.tobytes()
    every = [raw[a:b].decode() for a, b in zip(words.starts.tolist(), words.ends.tolist(), strict=True)]
    return [every[a:b] for a, b in pairwise(words.documents.tolist())]


def script(word: str) -> int:
    """0 Han, 1 Hiragana, 2 Katakana, 3 another script without spaces, -1 none of them."""
    code, name = ord(word[0]), unicodedata.name(word[0], "").replace("-", " ").split(" ")[0]
    if not unicodedata.category(word[0]).startswith("L"):
        return -1
    if code in (0x3005, 0x3006) or 0x3031 <= code <= 0x3035:
        return 0
    if name in NAMES:
        return NAMES.index(name)
    if 0x3041 <= code <= 0x30FF:
        return 1 if code <= 0x309F else 2
    return 3 if name in ("THAI", "LAO", "KHMER", "MYANMAR") else -1


def mixed(h: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        h = (h ^ h >> 33) * factor & MASK
    return h ^ h >> 33


def plain(words: list[str], beside: list[bool]) -> list[str]:
    """The pieces of one text, from its words and whether each stands right behind the one before it."""
    scripts = [script(word) for word in words]
    kana, both = sum(one in (1, 2) for one in scripts), sum(one in (0, 1, 2) for one in scripts)
    pieces: list[list[str]] = []
    for w, word in enumerate(words):
        a, b = scripts[w - 1] if w else -1, scripts[w]
        if a >= 0 and b >= 0 and beside[w] and len(pieces[-1]) < LONGEST:
            share = HAN_ALONE if a == b == 0 and kana < KANA * both else ENDS_AFTER[a, b]
            if mixed(hash_text(words[w - 1]) * 0x9E3779B97F4A7C15 & MASK ^ hash_text(word)) >> 11 >= share * 2**53:
                pieces[-1].append(word)
                continue
        pieces.append([word])
    return ["".join(piece) for piece in pieces]


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4))
@example(["", "今天天气很好。我们去公园散步看花开了吗。", "日本の水車はコーヒーです", "ไทยน้ำที่", "plain words"])
def test_pieces_are_those_of_plain_python(texts: list[str]) -> None:
    if any(0xFF66 <= ord(c) <= 0xFF9F or ord(c) >= 0x1B000 or 0xAA60 <= ord(c) <= 0xAA7F or 0xA9E0 <= ord(c) <= 0xA9FF for c in "".join(texts)):
        return  # rare letters, whose names the reference does not know
    found = split(texts)
    beside = np.append([False], found.starts[1:] == found.ends[:-1])
    expected = [plain(words, beside[a:b].tolist()) for words, (a, b) in zip(spelt(found), pairwise(found.documents.tolist()), strict=True)]
    whole = joined(found)
    assert spelt(whole) == expected
    assert whole.hashes.tolist() == [hash_text(word) for words in expected for word in words]
    assert whole.lengths.tolist() == [len(word) for words in expected for word in words]
    assert int((whole.flags & SYMBOL > 0).sum()) == int((found.flags & SYMBOL > 0).sum()), "signs stay as they are"


def test_a_split_without_such_letters_is_the_very_same() -> None:
    found = split(["The mill runs.", "", "한국어 слова ελληνικά"])
    assert joined(found) is found
    assert {stage.declares.splitter for stage in (gopher.signals, fineweb.signals, fineweb.after_c4)} == {JOINED}  # type: ignore[attr-defined]


def test_what_repeats_is_cut_alike_wherever_it_stands() -> None:
    """The reason for pieces that two letters decide about: copies of a passage have the same words, but perhaps at its ends."""
    passage = "水车在河边慢慢地转动磨坊主人早上起来打开闸门让水流过水渠推动轮子"
    lone = spelt(joined(split([passage])))[0]
    for before in ("", "昨天", "人们说", "abc", "很"):
        found = spelt(joined(split([before + passage + "。"])))[0]
        assert "".join(lone[1:-1]) in "".join(found) and lone[1:-1] == found[len(found) - len(lone) : -2]
    twice = gopher.signals(pl.DataFrame({"text": [passage, f"{passage}。{passage}。"]}))
    assert twice["dup_5gram"][0] == 0 and twice["dup_5gram"][1] > 0.4


@pytest.mark.parametrize("letter", ["ア", "あ", "水", "ก"])
def test_one_letter_for_ever_ends(letter: str) -> None:
    sizes = [len(piece) for piece in spelt(joined(split([letter * 10_000])))[0]]
    assert sum(sizes) == 10_000 and max(sizes) <= LONGEST


@pytest.mark.parametrize(("code", "least", "most"), [("zh", 1.6, 1.95), ("ja", 1.55, 1.9), ("th", 4.2, 5.4)])
def test_pieces_are_as_long_as_words(data: Callable[[str], Path], code: str, least: float, most: float) -> None:
    """jieba's words of these sentences have 1.75 characters, Janome's 1.73, newmm's 5.08 (with the letters' marks)."""
    with gzip.open(data("langid/lingua_sentences_a.jsonl.gz"), "rt", encoding="utf-8") as lines:
        texts = [row["text"] for row in map(json.loads, lines) if row["lang"] == code]
    measured = gopher.signals(pl.DataFrame({"text": ["\n".join(texts)]}))
    assert least < measured["mean_word_length"][0] < most
