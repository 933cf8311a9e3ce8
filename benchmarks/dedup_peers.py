"""What the peers of benchmarks/dedup.py do, in the interpreters that have them: signatures in memory, and duplicates from Parquet to Parquet.

    python dedup_peers.py signatures TEXTS.json     answers each peer's name on stdin with the CPU seconds that its signatures took
    python dedup_peers.py datatrove DATA OUT        four stages, two tasks and two workers
    python dedup_peers.py text-dedup DATA OUT       two processes
"""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

BANDS, ROWS, NGRAM = 14, 8, 5
WORD = re.compile(r"\w+")
HANDS = 2


def shingles(text: str) -> list[str]:
    """Word 5-grams for the peers that have no splitter: Python's fastest is one regular expression."""
    words = WORD.findall(text.lower())
    return [" ".join(words[i : i + NGRAM]) for i in range(max(1, len(words) - NGRAM + 1))]


def config() -> Any:
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.hashing import HashConfig

    return MinhashConfig(n_grams=NGRAM, num_buckets=BANDS, hashes_per_bucket=ROWS, hash_config=HashConfig(precision=64, hash_fc="xxhash"))


def datatrove_signatures(found: list[str]) -> None:
    from datatrove.pipeline.dedup import MinhashDedupSignature

    step = MinhashDedupSignature(output_folder="unused", config=config())
    for text in found:
        grams = step.get_shingles(text)
        if grams.size:
            step.get_signature(grams)


def datasketch_signatures(found: list[str]) -> None:
    import xxhash
    from datasketch import MinHash

    def hashed(text: str) -> int:
        return int(xxhash.xxh32_intdigest(text))

    blank = MinHash(num_perm=BANDS * ROWS, seed=1, hashfunc=hashed)
    for text in found:
        minhash = blank.copy()
        minhash.update_batch(shingles(text))


def rensa_signatures(found: list[str], name: str) -> None:
    import rensa

    for text in found:
        minhash = getattr(rensa, name)(num_perm=BANDS * ROWS, seed=1)
        minhash.update(shingles(text))
        minhash.digest()


SIGNATURES: dict[str, Callable[[list[str]], None]] = {
    "datatrove": datatrove_signatures,
    "datasketch": datasketch_signatures,
    "rensa R": lambda found: rensa_signatures(found, "RMinHash"),
    "rensa C": lambda found: rensa_signatures(found, "CMinHash"),
}


def signatures(path: str) -> None:
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        start = process_time()
        SIGNATURES[line.strip()](found)
        print(process_time() - start, file=answers, flush=True)


def datatrove(data: str, out: str) -> None:
    """Signatures by file, buckets, clusters, and the filter that reads the texts again and writes what stays."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter

    def reader() -> Any:
        return ParquetReader(data, text_key="text", id_key="doc_id", read_metadata=False)

    stages = [
        ([reader(), MinhashDedupSignature(f"{out}/signatures", config=config())], HANDS),
        ([MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets", config=config())], BANDS),
        ([MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=config())], 1),
        ([reader(), MinhashDedupFilter(f"{out}/remove"), ParquetWriter(f"{out}/kept")], HANDS),
    ]
    for number, (pipeline, tasks) in enumerate(stages):
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=HANDS, logging_dir=f"{out}/logs/{number}").run()


def text_dedup(data: str, out: str) -> None:
    sys.argv = [
        "minhash", "--path", "parquet", "--data_dir", data, "--split", "train", "--cache_dir", f"{out}/cache", "--output", f"{out}/kept",
        "--column", "text", "--ngram", str(NGRAM), "--num_perm", str(BANDS * ROWS), "--b", str(BANDS), "--r", str(ROWS), "--hash_func", "xxh3",
        "--num_proc", str(HANDS), "--batch_size", "10000", "--min_length", "0",
    ]  # fmt: skip
    from text_dedup.minhash import main

    main()


if __name__ == "__main__":
    {"signatures": signatures, "datatrove": datatrove, "text-dedup": text_dedup}[sys.argv[1]](*sys.argv[2:])
