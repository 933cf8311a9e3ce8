"""Which blocks of a page are its text: boosted trees over what is measured of each, and how far they are to be doubted.

The trees lie in `choice.npz`, learned by `benchmarks/teach/extraction.py` and evaluated here without the library that learned them.
"""

import io
import pkgutil
from functools import cache
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from ingest.pages.blocks import Blocks, Ints, Masks
from ingest.pages.features import FEATURES, Floats
from ingest.pages.tags import ID, mask

LIKELY = 0.55
UNLIKELY, FEW_WORDS = 0.2, 20
SHOWN = 300
"""Words in the blocks of a page, none of which seems text: from so many on it is a front page or a list, below its text may be in a script or a frame."""
BRIDGED = 0.15
"""A list or a table between two blocks of text is text where it is at least this probable."""
WHOLE = mask("ul ol dl menu table")
LINKED, NAV = FEATURES.index("linked share"), np.uint64(ID["nav"])
LEAVES = 64
DE_BRUIJN, SHIFT = np.uint64(0x03F79D71B4CB0A89), np.uint64(58)
LOWEST = np.array(sorted(range(64), key=lambda bit: (int(DE_BRUIJN) << bit) % 2**64 >> 58), np.uint8)
"""By the top bits of the product of a power of two and a De Bruijn sequence: which power it was."""

Numbers = npt.NDArray[np.int32]


class Trees(NamedTuple):
    """Trees as arrays over all their questions, to be asked of all blocks at once (QuickScorer: Lucchese et al. 2015, section 3).

    feature, most: int32 and float32 [questions], the row asked and the highest value that goes left. kept: uint64 [questions], the leaves of its
    tree that a value above leaves, the leftmost is bit 0: all but those on the left. first: int32 [trees + 1], where the questions of each tree
    begin. value: float32 [trees, LEAVES], what a leaf adds to the log-odds; the leaf is the leftmost that all questions leave.
    """

    feature: Numbers
    most: Floats
    kept: Masks
    first: Numbers
    value: Floats


@cache
def learned() -> Trees:
    """Return the trees of `choice.npz`."""
    return read(pkgutil.get_data("ingest.pages", "choice.npz") or b"")


def read(content: bytes) -> Trees:
    """Return trees from the bytes of an .npz file. They must be of the features that are measured now."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        names = tuple(str(file["names"]).split("\n"))
        assert names == FEATURES, "choice.npz was learned from other features: run benchmarks/teach/extraction.py"
        return Trees(*(file[name] for name in Trees._fields))


def probabilities(features: Floats, trees: Trees) -> Floats:
    """Return for each block how probably it is the page's text, 0 to 1: float32 [blocks], of features [FEATURES, blocks]."""
    probable: Floats = _probabilities(features, *trees)
    return probable


def together(found: Blocks, features: Floats, probable: Floats) -> Floats:
    """Return the probabilities with those of one list or one table made the same, by their words, and a little over LIKELY between two blocks of text.

    An item alone is seldom text, nor one alone missing from it. Links in a `<nav>` are none: on pages of a few words, such as tests have, the trees
    take them for text.
    """
    same: Floats = _together(found.blocks, found.masks, found.parents, found.tags, features, probable)
    return same


def choose(words: Floats, probable: Floats) -> npt.NDArray[np.bool_]:
    """Return which blocks are the text. A page with hardly any that is likely gives what is not unlikely: too little is for a policy to say.

    A page that shows much, all of it unlikely, gives what is least so.
    """
    chosen: npt.NDArray[np.bool_] = probable > LIKELY
    if (words * chosen).sum() >= FEW_WORDS:
        return chosen
    chosen = probable > UNLIKELY
    return chosen if chosen.any() or words.sum() < SHOWN else (probable > 0) & (probable >= probable.max() / 2)


def doubt(words: Floats, probable: Floats) -> tuple[float, float]:
    """Return the words expected to be chosen wrongly, and what share of the likely ones they are: 0 is certain; 1 and more, that nothing is."""
    wrong, likely = _doubt(words, probable)
    return wrong, wrong / max(likely, 1.0)


@numba.njit(cache=True, nogil=True)
def _doubt(words: Floats, probable: Floats) -> tuple[float, float]:
    wrong = likely = 0.0
    for i in range(len(words)):
        wrong += words[i] * min(probable[i], 1 - probable[i])
        likely += words[i] * (probable[i] > LIKELY)
    return wrong, likely


@numba.njit(cache=True, nogil=True)
def _probabilities(features: Floats, feature: Numbers, most: Floats, kept: Masks, first: Numbers, value: Floats) -> Floats:
    n, one = features.shape[1], np.uint64(1)
    odds, leaves = np.zeros(n, np.float32), np.empty(n, np.uint64)
    for tree in range(len(first) - 1):
        leaves[:] = ~np.uint64(0)
        for question in range(first[tree], first[tree + 1]):
            asked, limit, left = features[feature[question]], most[question], kept[question]
            for i in range(n):  # eight blocks an instruction, none of them a jump
                leaves[i] &= left | (np.uint64(asked[i] > limit) - one)
        for i in range(n):
            lowest = leaves[i] & (~leaves[i] + one)
            odds[i] += value[tree, LOWEST[lowest * DE_BRUIJN >> SHIFT]]
    for i in range(n):
        odds[i] = 1 / (1 + np.exp(-odds[i]))
    return odds


@numba.njit(cache=True, nogil=True)
def _together(blocks: Ints, masks: Masks, parents: Ints, tags: Ints, features: Floats, probable: Floats) -> Floats:
    nodes, words, linked, probable = len(parents), features[0], features[LINKED], probable.copy()
    for i in range(len(blocks)):
        if linked[i] > 0.5 and masks[i, 2] >> NAV & np.uint64(1):
            probable[i] = 0
    of, sums, out = np.zeros(nodes, np.int32), np.zeros((nodes, 2), np.float64), probable.copy()
    for node in range(1, nodes):  # an element's number is above that of the one that holds it
        of[node] = node if WHOLE[tags[node]] else of[parents[node]]
    for i in range(len(blocks)):
        here = of[blocks[i, 2]]
        sums[here, 0] += (words[i] + 0.5) * probable[i]
        sums[here, 1] += words[i] + 0.5
    first = 0
    while first < len(blocks):
        here, last = of[blocks[first, 2]], first
        if here > 0:
            while last + 1 < len(blocks) and of[blocks[last + 1, 2]] == here:
                last += 1
            value = sums[here, 0] / sums[here, 1]
            between = first > 0 and last + 1 < len(blocks) and probable[first - 1] > LIKELY and probable[last + 1] > LIKELY
            if value > BRIDGED and value <= LIKELY and between:
                value = LIKELY + 0.01
            out[first : last + 1] = value
        first = last + 1
    return out
