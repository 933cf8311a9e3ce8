"""Places in bytes as places in characters."""

import numba
import numpy as np

from catalog.split import Bytes, Offsets


@numba.njit(cache=True, nogil=True)
def characters(data: Bytes, texts: Offsets, rows: Offsets, places: Offsets) -> Offsets:
    """Return byte places, which ascend within a text, as characters from the start of their texts `rows`."""
    out = np.empty(places.size, np.int64)
    at = char = 0
    for k in range(places.size):
        if k == 0 or rows[k] != rows[k - 1]:
            at, char = texts[rows[k]], 0
        for i in range(at, places[k]):
            char += data[i] & 0xC0 != 0x80
        at, out[k] = places[k], char
    return out
