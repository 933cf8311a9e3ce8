"""Exact duplicates: documents whose texts, as extracted, are the same."""

from curate.components import Edges, equal
from curate.corpus import Corpus


def job(corpus: Corpus, before: Edges) -> Edges:
    """Return the pairs of documents with one origin_hash, each joined to the smallest doc_id among them. `before` is not needed."""
    edges = equal(corpus, "origin_hash")
    return edges.with_columns(jaccard=1.0)
