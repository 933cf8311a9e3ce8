"""What occurs again: the sieve leaves nothing out, and runs of words are told by their bytes, wherever these are parted."""

from collections import Counter

import numpy as np
import polars as pl
import pytest

from catalog.eight import hash_run
from catalog.schema import text_bytes
from catalog.split import split_words
from curate.repetition import repeated_runs
from curate.text.again import may_repeat, sieve_for


def test_every_key_that_occurs_again_is_left() -> None:
    keys = np.random.default_rng(1).integers(1, 3000, 2000).astype(np.uint64)
    places = np.empty(keys.size + 1, np.int64)
    found = places[: may_repeat(keys, np.empty(sieve_for(keys.size), np.uint8), places)].tolist()
    uses = Counter(keys.tolist())
    assert {place for place, key in enumerate(keys.tolist()) if uses[key] > 1} <= set(found)
    assert found == sorted(found)
    assert len(found) < keys.size


@pytest.mark.parametrize("size", range(20))
def test_a_hash_is_of_its_bytes_alone(size: int) -> None:
    data = np.arange(1, 1 + size, dtype=np.uint8)
    wider = np.concatenate([np.full(3, 7, np.uint8), data, np.full(9, 9, np.uint8)])
    assert hash_run(data, 0, size) == hash_run(wider, 3, 3 + size) != 0
    assert hash_run(data, 0, size) != hash_run(wider, 3, 4 + size)


def _dups(text: str) -> list[int]:
    """Characters of runs of 5 to 10 words that stood before."""
    return repeated_runs(split_words(*text_bytes(pl.Series([text]))))[1][0].tolist()


def test_repeated_runs_are_compared_without_what_parts_their_words() -> None:
    assert _dups("ab c d e f. " + "x. a bc d e f") == [6, 0, 0, 0, 0, 0]         # abcdef is five words once, five words again
    long = "several longish words stand here"
    assert _dups(f"{long}: {long.replace('longish ', 'long ish ').replace('stand here', 'standhere')}") == [len(long.replace(" ", "")), 0, 0, 0, 0, 0]
    assert _dups("a b c d e f g h i j k l m n o p") == [0] * 6
