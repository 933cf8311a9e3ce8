"""What may stand in a text to steer a model that learns from it or reads it: triggers, hidden characters, encoded blocks, orders, marks of chats.

Signals of a screen and no verdict: a paper on prompt injection quotes its orders, a manual its tokens. What counts is what many documents share
(`screen.trigger` over a corpus) and what stands where it has no business.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from catalog.schema import SPAN
from catalog.split import SPLITTER, Bytes, Offsets
from catalog.stage import declares, words
from curate.text.hidden import COUNTED, hidden
from curate.text.letters import PLACE as CLASS
from curate.text.letters import letters
from curate.text.orders import MARKER, Found, found
from curate.text.repeats import blobs, odd_words, repeats

ADDS = {name: pa.int64() for name in COUNTED} | {
    "blobs": pa.int64(), "longest_blob": pa.int64(), "blob_share": pa.float64(), "repeated": pa.float64(), "repeats": pa.int64(), "odd_words": pa.int64(),
    "trigger": pa.string(), "trigger_uses": pa.int64(), "injections": pa.int64(), "control_tokens": pa.int64(), "spans": pa.list_(SPAN), "cuts": pa.list_(SPAN),
}  # fmt: skip


@declares(reads=("text",), adds=ADDS, version=1, splitter=SPLITTER)
def signals(batch: pl.DataFrame) -> pl.DataFrame:
    """Return the family `screen`, one row a document.

    zero_width     zero-width spaces and word joiners, but a byte order mark at the text's start; joiners only between Latin, Cyrillic or Greek letters
    soft_hyphens   U+00AD, which extraction leaves; bidi: marks that turn the direction of writing; overrides: of these U+202D and U+202E, which
                   show a text in another order than it has (Boucher and Anderson 2023)
    tags           tag characters (U+E0000 to E007F) but those of a region's flag: invisible ASCII; selectors: variation selectors in a row
    split_words    Latin, Cyrillic or Greek words with a zero-width character inside; mixed_words: words of 3 letters and more of two of these scripts
                   in which each letter of the rarer one looks like one of the other
    blobs          blocks of base64 or hexadecimal digits; longest_blob: characters of the longest; blob_share: share of the characters
    repeated       share of the words in runs of one unit (1 to 8 words, or inside one word) again and again; repeats: times that the most repeated one
                   stands there at once, 0 for none. The rules stand in curate/text/repeats.py
    odd_words      words that look drawn at random; trigger: the commonest of these and of words in capitals between <> or ||, trigger_uses: its uses
    injections     orders to a language model (`ignore all previous instructions`), in ten languages; control_tokens: marks of chat templates
    spans          kind (injection, control_token, blob), start and end in characters of the text as ingested
    cuts           the unseen characters that no script wants (in split words, overrides, tags, rows of selectors), for a policy's `cut:`

    Ratios are null where there is nothing to share, `trigger` is where there is none.
    """
    split = words(batch)
    unseen = hidden(split.data, split.texts)
    columns = {name: pl.Series(unseen.counts[:, place]) for place, name in enumerate(COUNTED)}
    blocks, stretches = blobs(split.data, split.texts)
    chars, told = letters(batch)[0][:, CLASS["chars"]], repeats(split)
    orders = found(batch["text"].cast(pl.String))
    with np.errstate(divide="ignore", invalid="ignore"):
        columns |= {
            "blobs": pl.Series(blocks[:, 0]), "longest_blob": pl.Series(blocks[:, 2]), "blob_share": pl.Series(blocks[:, 1] / chars),
            "repeated": pl.Series(told[:, 1] / told[:, 0]), "repeats": pl.Series(told[:, 2]),
        }  # fmt: skip
    columns |= _triggers(batch["text"], *odd_words(split), split.data)
    for kind in ("injection", "control_token"):
        rows = np.array([row for row, _, _, of in orders if of == kind], np.int64)
        columns[f"{kind}s"] = pl.Series(np.bincount(rows, minlength=batch.height))
    columns["spans"] = listed([*orders, *((row, start, end, "blob") for row, start, end in stretches.tolist())], batch.height)
    unwanted = zip(unseen.rows.tolist(), unseen.starts.tolist(), unseen.ends.tolist(), strict=True)
    columns["cuts"] = listed([(*place, "hidden") for place in unwanted], batch.height)
    return pl.DataFrame({name: columns[name] for name in ADDS}).with_columns(pl.col(pl.Float64).fill_nan(None))


def _triggers(texts: pl.Series, counts: Offsets, places: Offsets, data: Bytes) -> dict[str, pl.Series]:
    """Return the columns of odd words: most documents have none, and only of the others is anything looked at closer."""
    named: list[str | None] = [None] * len(texts)
    uses = counts[:, 1].copy()
    for row in np.flatnonzero(counts[:, 0]).tolist():
        named[row] = data[places[row, 0] : places[row, 1]].tobytes().decode()
    for row in texts.str.contains(MARKER.pattern).fill_null(False).arg_true().to_list():
        marked = pl.Series(MARKER.findall(texts[row])).value_counts(sort=True)
        if marked["count"][0] >= uses[row]:
            named[row], uses[row] = marked.sort(["count", ""], descending=[True, False])[""][0], marked["count"][0]
    return {"odd_words": pl.Series(counts[:, 0]), "trigger": pl.Series(named, dtype=pl.String), "trigger_uses": pl.Series(uses)}


def listed(spans: Sequence[Found], rows: int) -> pl.Series:
    """Return spans as a column, each row's in order."""
    spans = sorted(spans)
    owners = np.searchsorted(np.array([row for row, *_ in spans], np.int64), np.arange(rows + 1))
    starts, ends = (pa.array([span[place] for span in spans], pa.int64()) for place in (1, 2))
    fields = [pa.array([kind for *_, kind in spans], pa.string()), starts, ends]
    column = pa.LargeListArray.from_arrays(pa.array(owners), pa.StructArray.from_arrays(fields, fields=list(SPAN)))
    return pl.Series(pl.from_arrow(column))
