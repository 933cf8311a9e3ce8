"""What a document is: the rows as Arrow schemas, and the ids and hashes that never change.

The byte hash below is stored in annotations and drives orders and samples, so its golden values are tested:
polars' and Python's own `hash()` differ between versions and processes and are never stored nor used for seeds.
"""

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.ids import derive, digest, doc_id, origin_hash

__all__ = [
    "BYTES_A_TOKEN", "CHAT", "DOCUMENT", "GEN", "ITEM", "JUDGEMENT", "MEDIA", "MESSAGES", "PAIR", "SHAPES", "SOURCE", "SPAN", "VERDICT",
    "derive", "digest", "doc_id", "hash_bytes", "hash_column", "hash_text", "mix64", "origin_hash", "text_bytes",
]  # fmt: skip

SPAN = pa.struct([("kind", pa.string()), ("start", pa.int64()), ("end", pa.int64())])
"""A stretch of a text as ingested, in characters (code points), end exclusive."""

SOURCE = pa.struct(
    [
        ("path", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("fetched_at", pa.timestamp("us")),
        ("content_type", pa.string()),
    ]
)
MEDIA = pa.list_(
    pa.struct(
        [
            ("uri", pa.string()),
            ("sha", pa.string()),
            ("mime", pa.string()),
            ("span", pa.struct([("start", pa.int64()), ("end", pa.int64())])),
        ]
    )
)
GEN = pa.struct(
    [
        ("parents", pa.list_(pa.string())),
        ("writer", pa.string()),
        ("model", pa.string()),
        ("seed", pa.int64()),
        ("depth", pa.int32()),
        ("license", pa.string()),
    ]
)
FACTS = pa.struct(
    [
        ("opt_out", pa.string()),
        ("doi", pa.string()),
        ("venue", pa.string()),
        ("work", pa.string()),
        ("package", pa.string()),
        ("version", pa.string()),
        ("nature", pa.string()),
        ("terms", pa.string()),
        ("position", pa.int32()),
    ]
)
"""What one kind of source knows of its documents and others do not; NULL where it does not apply.

opt_out   a crawled page: who or what it is not for, at the time of fetching, such as `CCBot GPTBot noai` (ingest/crawling/robots.py)
doi, venue   a paper: its DOI, and the journal or conference
work      a book: author and title in one spelling, the same for every edition
package, version   code: what it is part of
nature    code: `generated`, `minified`, `vendored` or `test`; NULL for what people wrote there
terms     code: what its licence asks, `permissive`, `weak-copyleft`, `copyleft` or `other`
position  a book's chapter, or a file in its repository's order, from 0
"""
MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

DOCUMENT = pa.schema(
    [
        ("doc_id", pa.string()),
        ("uri", pa.string()),
        ("host", pa.string()),
        ("domain", pa.string()),
        ("dump", pa.string()),
        ("title", pa.string()),
        ("author", pa.string()),
        ("date", pa.date32()),
        ("license", pa.string()),
        ("origin_hash", pa.string()),
        ("text", pa.string()),
        ("source", SOURCE),
        ("media", MEDIA),
        ("modality", pa.string()),
        ("gen", GEN),
        ("lang", pa.string()),
        ("confidence", pa.float32()),
        ("facts", FACTS),
    ]
)
"""One document. `lang` is the language that it declares (BCP 47), `confidence` how sure the extractor is of its text, 0 to 1; NULL where there is neither."""
CHAT = pa.schema([*DOCUMENT, pa.field("messages", MESSAGES)])
PAIR = pa.schema(
    [
        *DOCUMENT,
        pa.field("prompt", MESSAGES),
        pa.field("chosen", pa.string()),
        pa.field("rejected", pa.string()),
        pa.field("scores", pa.struct([("chosen", pa.float64()), ("rejected", pa.float64())])),
    ]
)
JUDGEMENT = pa.schema([*DOCUMENT, pa.field("score", pa.float64()), pa.field("answer", pa.string())])
"""A document's text as far as a judge read it: the score that the judge gave, and what it wrote where it wrote something."""
ITEM = pa.schema([*DOCUMENT, pa.field("answer", pa.string()), pa.field("choices", pa.list_(pa.string()))])
"""An item of an evaluation set: `text` is the question as a model is asked it, `answer` what it should say, kept apart from the question."""
SHAPES: dict[str, pa.Schema] = {"document": DOCUMENT, "chat": CHAT, "pair": PAIR, "judgement": JUDGEMENT, "item": ITEM}

VERDICT = pa.schema(
    [
        ("kept", pa.bool_()),
        ("reason", pa.string()),
        ("domain", pa.string()),
        ("dump", pa.string()),
        ("host", pa.string()),
        ("language", pa.string()),
        ("license", pa.string()),
        ("bytes", pa.int64()),
        ("tokens", pa.int64()),
    ]
)
"""One narrow row per document: what a policy said of it, and what statistics are made of.

`bytes` is the UTF-8 length of the text; `tokens` an estimate, bytes / 4, until a mix has tokenised the snapshot.
"""

BYTES_A_TOKEN = 4


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[misc, unused-ignore]
def mix64(h: np.uint64) -> np.uint64:
    """Finish a 64-bit hash: every input bit reaches every output bit (the MurmurHash3 finaliser's shifts)."""
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xFF51AFD7ED558CCD)
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xC4CEB9FE1A85EC53)
    h ^= h >> np.uint64(33)
    return h


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def hash_bytes(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    """Return the stable 64-bit hash of each data[start:end]: FNV-1a over the bytes, finished by `mix64`."""
    out = np.empty(starts.size, np.uint64)
    for i in range(starts.size):
        h = np.uint64(0xCBF29CE484222325)
        for j in range(starts[i], ends[i]):
            h = (h ^ np.uint64(data[j])) * np.uint64(0x100000001B3)
        out[i] = mix64(h)
    return out


def hash_text(text: str) -> int:
    """Return the stable hash of one string; `hash_column` for many."""
    raw = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    return int(hash_bytes(raw, np.zeros(1, np.int64), np.array([raw.size], np.int64))[0])


def hash_column(texts: pl.Series) -> npt.NDArray[np.uint64]:
    """Return the stable hash of each text of a column; nulls hash as the empty text."""
    data, offsets = text_bytes(texts)
    out: npt.NDArray[np.uint64] = hash_bytes(data, offsets[:-1], offsets[1:])
    return out


def text_bytes(texts: pl.Series) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return a text column as its UTF-8 bytes, end to end, and n + 1 offsets into them; nulls are empty."""
    array = texts.cast(pl.String).fill_null("").to_arrow().cast(pa.large_string())
    if array.offset:  # a slice of a bigger buffer: copy it once, so that offsets start at zero
        array = pa.concat_arrays([array, pa.array([], pa.large_string())])
    _, offsets, data = array.buffers()
    places = np.frombuffer(offsets, np.int64, len(array) + 1, offset=array.offset * 8)
    raw = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return raw, places
