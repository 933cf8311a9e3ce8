"""What an executor does first, in a process that knows nothing of the house but its zip: unpack it and run a kernel.

kernel_hits.py ZIP: prints the folder that the house came from, and how many kernels numba had kept and had to compile.
"""

import os
import sys


def main(shipped: str) -> None:
    sys.path.append(shipped)
    from catalog.spark import _unpacker

    unpack = _unpacker()
    for name in [name for name in sys.modules if name.partition(".")[0] == "catalog"]:
        del sys.modules[name]                                # an executor gets the function by value, and nothing is imported from the zip
    unpack()
    from catalog import schema

    schema.hash_bytes(schema.np.zeros(2, schema.np.uint8), schema.np.array([0]), schema.np.array([2]))
    stats = schema.hash_bytes.stats
    print(os.path.dirname(os.path.dirname(schema.__file__)), sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))


if __name__ == "__main__":
    main(sys.argv[1])
