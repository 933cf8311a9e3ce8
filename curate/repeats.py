"""What stands in more than one place, as spans: the shape that jobs for stretches and for lines write, and a policy chooses among."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from catalog.schema import SPAN
from curate.components import FILE
from curate.corpus import Corpus, to_dict
from curate.numbered import Ints, Numbered
from curate.windows import PLACE_BITS

REPEAT = pa.struct([*SPAN, ("first", pa.string()), ("at", pa.int64()), ("copies", pa.int64())])
"""One place of what stands in several. `first` and `at` name what stands there, the same in all its places: where it first stands. A null `at`
says that no copy need stay. `copies` is the number of places."""


def told_of(documents: Numbered, places: Ints, begins: Ints, counts: Ints) -> pl.DataFrame:
    """Return ref, word, count, first, at and copies of places whose first is at `begins`; `at` is null of what stands in frozen rows."""
    _, which, copies = np.unique(begins, return_inverse=True, return_counts=True)
    known = np.zeros(copies.size, np.bool_)
    known[which[documents.frozen[places >> PLACE_BITS]]] = True
    firsts = begins >> PLACE_BITS
    at = (begins & ((1 << PLACE_BITS) - 1)) + (documents.again(firsts) << PLACE_BITS)
    found = pl.DataFrame({"ref": documents.refs[places >> PLACE_BITS], "word": places & ((1 << PLACE_BITS) - 1), "count": counts})
    found = found.with_columns(first=documents.ids.gather(firsts), at=pl.Series(at), copies=pl.Series(copies[which], dtype=pl.Int64))
    return found.with_columns(at=pl.when(pl.Series(known[which])).then(None).otherwise("at"))


def listed(corpus: Corpus, documents: Numbered, found: pl.DataFrame, function: str, adds: Mapping[str, pa.DataType]) -> pl.DataFrame:
    """Return `ref` and the columns `adds`, a row a document, as tasks write them that are given a data file and `wanted`, a table of what was found."""
    others = _goes_by(documents)["by"].implode()
    asked = found.filter((pl.col("ref") < corpus.own * FILE) | pl.col("ref").is_in(others)).sort("ref", "word")
    wanted = corpus.scratch("wanted.parquet")
    asked.write_parquet(wanted, row_group_size=1 << 16)
    tasks = []
    for number in (asked["ref"] // FILE).unique().sort():
        file, path = corpus.files[number], corpus.scratch(f"spans-{number:06d}.parquet")
        tasks.append({"name": file.path, "bytes": file.bytes, "file": to_dict(file), "number": number, "wanted": wanted, "path": path})
    return spread(corpus, documents, corpus.map(function, tasks), adds)


def spread(corpus: Corpus, documents: Numbered, written: Sequence[dict[str, Any]], adds: Mapping[str, pa.DataType]) -> pl.DataFrame:
    """Return what tasks wrote, a row a document of ours; twins get what the document has that they go by."""
    empty = pl.DataFrame(pl.from_arrow(pa.schema({"ref": pa.int64(), **adds}).empty_table()))
    whole = pl.concat([empty, *(pl.read_parquet(result["path"]) for result in written if result["path"])])
    again = _goes_by(documents).join(whole.rename({"ref": "by"}), on="by").drop("by")
    return pl.concat([whole, again]).filter(pl.col("ref") < corpus.own * FILE)


def _goes_by(documents: Numbered) -> pl.DataFrame:
    return documents.twins.select("ref", by=pl.Series(documents.refs[documents.twins["number"].to_numpy()], dtype=pl.Int64))


def between(tables: Sequence[str], span: tuple[int, int]) -> pl.LazyFrame:
    """The rows of tables whose `key` is in a range: of a table sorted in pieces, few row groups are read."""
    return pl.concat([pl.scan_parquet(path, glob=False).filter(pl.col("key").is_between(*span)) for path in tables])
