"""Paragraphs that stand in several documents: what is repeated in whole pieces, however little the rest has in common."""

import pyarrow as pa

from catalog.stage import declares
from curate import lines
from curate.components import Edges, Told
from curate.corpus import Corpus
from curate.repeats import REPEAT


@declares(adds={"paragraphs": pa.list_(REPEAT), "paragraph_share": pa.float64(), "paragraph_documents": pa.int64()}, version=2, family="dup")
def job(
    corpus: Corpus, before: Edges, *, within: str | None = None, documents: int = 2, share: float = 0.0, keep: str = "first",
    digits: bool = True, min_words: int = 13,
) -> Told:  # fmt: skip
    """Find paragraphs that stand in at least `documents` documents, and in `share` of those that have the same `within` (a column; null: of all).

    paragraphs            those paragraphs as spans: kind (paragraph), start and end in characters of the text as ingested, the blank lines behind it
                          included, the doc_id of the first document that has it (`first`, the smallest), the number of its first line there
                          (`at`, from 0) and in how many documents it stands (`copies`)
    paragraph_share       share of the text's characters in them
    paragraph_documents   in how many documents the commonest of them stands

    With `keep: first`, `cut: [dup.paragraphs]` leaves one copy of each among the rows that a policy keeps, by its order. With `keep: none`, or where
    a document of a dataset under `against:` has it, `at` is null: it is cut everywhere. `min_words` is the fewest words of a
    paragraph that counts, `digits` whether digits make a difference. Documents that jobs before joined count as one. Null for a text without any.
    """
    return lines.told(corpus, before, "paragraph", within, documents, share, keep, digits, min_words)
