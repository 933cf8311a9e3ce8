"""What the tests of the n-gram model and of perplexity share: small models, and ways to ask them."""

from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import strategies as st

from catalog.schema import hash_column
from curate import perplexity
from curate.models import arpa, lookup, ngrams
from curate.models.lookup import Model

SMALL = "a b\na b\nb"
TEXTS = st.lists(st.text("abcde \n", max_size=60), min_size=1, max_size=4).filter(lambda texts: any(text.strip() for text in texts))
FOREIGN = r"""# made by hand: 'b c' is no 2-gram, though it ends 'a b c', as in pruned files of SRILM

\data\
ngram 1=6
ngram 2=3
ngram 3=2

\1-grams:
-0.9	</s>
-99	<s>	-0.3
-0.7	a	-0.25
-0.8	b	-0.125
-0.6	c	-0.5
-1.5	<UNK>

\2-grams:
-0.4	<s> a	-0.2
-0.35	a b	-0.15
-0.2	c </s>

\3-grams:
-0.05	<s> a b
-0.1	a b c

\end\
"""


def trained(*texts: str, **knobs: object) -> Model:
    return ngrams.train([pl.Series(texts, dtype=pl.String)], **({"min_count": 1, "prune": (0,)} | knobs))  # type: ignore[arg-type]


def probabilities(model: Model) -> dict[str, tuple[float, float]]:
    """Each n-gram's probability and backoff, no longer as logarithms."""
    words, out = model.words.to_list(), {}
    for numbers, logs, backoffs in lookup.grams(model):
        for row, log, backoff in zip(numbers.tolist(), logs.tolist(), backoffs.tolist(), strict=True):
            out[" ".join(words[number] for number in row)] = (10**log, 10**backoff)
    return out


def scored(model: Model, sentences: list[list[str]]) -> np.ndarray:
    """log10 of the probability of sentences given as words."""
    hashes = hash_column(pl.Series([word for words in sentences for word in words], dtype=pl.String))
    return lookup.score(model, hashes, np.concatenate([[0], np.cumsum([len(words) for words in sentences])]))[0]


def read(folder: Path, text: str | bytes) -> Model:
    path = folder / "model.arpa"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return arpa.read(path)


def signals(model: Model | Path, *texts: str | None, folder: Path | None = None) -> pl.DataFrame:
    if isinstance(model, Model):
        assert folder is not None
        lookup.save(model, folder / "model")
        model = folder / "model"
    return perplexity.signals(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}), model=str(model))
