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

from ingest.pages.blocks import Blocks, Ints
from ingest.pages.features import FEATURES, Floats
from ingest.pages.tags import mask

LIKELY = 0.55
UNLIKELY, FEW_WORDS = 0.2, 20
SHOWN = 300
"""Words in the blocks of a page, none of which seems text: from so many on it is a front page or a list, below its text may be in a script or a frame."""
BRIDGED = 0.15
"""A list or a table between two blocks of text is text where it is at least this probable."""
WHOLE = mask("ul ol dl menu table")

Numbers = npt.NDArray[np.int32]


class Trees(NamedTuple):
    """Trees as arrays over all their nodes; a leaf leads to itself, so every walk is as long and none is guessed by the processor.

    feature, most: int32 and float32 [nodes], the column asked and the highest value that goes left. below: int32 [2 nodes], where left and
    right lead. roots: int32 [trees]. value: float32 [nodes], what a leaf adds to the log-odds. depth: int32 [1], steps of a walk.
    """

    feature: Numbers
    most: Floats
    below: Numbers
    roots: Numbers
    value: Floats
    depth: Numbers


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
    """Return for each block how probably it is the page's text: float32 [blocks], 0 to 1."""
    probable: Floats = _probabilities(features, *trees)
    return probable


def together(found: Blocks, words: Floats, probable: Floats) -> Floats:
    """Return the probabilities with those of one list or one table made the same, by their words, and a little over LIKELY between two blocks of text.

    An item alone is seldom text, nor one alone missing from it.
    """
    same: Floats = _together(found.blocks, found.parents, found.tags, words, probable)
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
    wrong = float((words * np.minimum(probable, 1 - probable)).sum())
    return wrong, wrong / max(float((words * (probable > LIKELY)).sum()), 1.0)


@numba.njit(cache=True, nogil=True)
def _probabilities(features: Floats, feature: Numbers, most: Floats, below: Numbers, roots: Numbers, value: Floats, depth: Numbers) -> Floats:
    n, columns = features.shape
    flat, node, odds = features.reshape(-1), np.empty(n, np.int32), np.zeros(n, np.float32)
    for root in roots:
        node[:] = root
        for _ in range(depth[0]):
            for i in range(n):  # the blocks side by side: their steps do not wait for each other
                at = node[i]
                node[i] = below[2 * at + np.int32(flat[i * columns + feature[at]] > most[at])]
        for i in range(n):
            odds[i] += value[node[i]]
    for i in range(n):
        odds[i] = 1 / (1 + np.exp(-odds[i]))
    return odds


@numba.njit(cache=True, nogil=True)
def _together(blocks: Ints, parents: Ints, tags: Ints, words: Floats, probable: Floats) -> Floats:
    nodes = len(parents)
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
