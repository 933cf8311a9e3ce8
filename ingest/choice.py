"""Which blocks of a page are its text: boosted trees over what is measured of each, and how far they are to be doubted.

The trees lie in `choice.npz`, learned by `benchmarks/teach_extraction.py` and evaluated here without the library that learned them.
"""

import io
import pkgutil
from functools import cache
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from ingest.features import FEATURES, Floats

LIKELY = 0.5
FEW_WORDS = 20.0

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
    return read(pkgutil.get_data("ingest", "choice.npz") or b"")


def read(content: bytes) -> Trees:
    """Return trees from the bytes of an .npz file. They must be of the features that are measured now."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        names = tuple(str(file["names"]).split("\n"))
        assert names == FEATURES, "choice.npz was learned from other features: run benchmarks/teach_extraction.py"
        return Trees(*(file[name] for name in Trees._fields))


def probabilities(features: Floats, trees: Trees) -> Floats:
    """Return for each block how probably it is the page's text: float32 [blocks], 0 to 1."""
    return _probabilities(features, *trees)


def doubt(probable: Floats, words: Floats) -> float:
    """Return the words expected to be chosen wrongly as a share of those chosen: float. 0 is certain; pages of few words count as twenty."""
    return float((words * np.minimum(probable, 1 - probable)).sum() / max((words * (probable > LIKELY)).sum(), FEW_WORDS))


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
    return 1 / (1 + np.exp(-odds))
