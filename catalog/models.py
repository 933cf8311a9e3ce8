"""The kinds of models that `quality:` fits, by the name of their fit, and how one is refused that a stage has no use for."""

from collections.abc import Sequence

KINDS = {
    "classifier": "a classifier", "scorer": "a scorer", "importance": "an importance model", "language_model": "a language model",
    "quantiles": "a table of quantiles", "vectors": "a model of word vectors",
}  # fmt: skip
STORED = {
    "class": "classifier", "score": "scorer", "importance": "importance", "ngrams": "language_model", "quantiles": "quantiles", "vectors": "vectors",
}  # fmt: skip
"""What a model's folder says of its kind (`model.json`), and the kind."""


def unfit(kind: str, wanted: Sequence[str]) -> str:
    """Return why a model of a kind is of no use where some others are `wanted`, and what to do; nothing where it is."""
    if not wanted or kind in wanted:
        return ""
    named = [KINDS.get(one, one) for one in wanted]
    others = " or ".join(filter(None, [", ".join(named[:-1]), named[-1]]))
    return f"is {KINDS.get(kind, kind)}, and {others} is wanted here: name another"
