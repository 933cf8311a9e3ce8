"""What can be counted of any text: readability, how far it can be compressed, how varied its words, what its characters are."""

import zlib

import numpy as np
import polars as pl
import pyarrow as pa

from catalog.split import SPLITTER, SYMBOL, Bytes, Offsets
from catalog.stage import declares, words
from curate.text.diversity import diversity
from curate.text.letters import PLACE, Ratios, letters
from curate.text.reading import reading
from curate.text.spaced import spaced

CHARACTERS = ("letters", "digits", "upper", "white", "punctuation", "symbols", "marks", "control", "unassigned", "ascii")
GRADES = ("flesch", "kincaid", "fog", "smog", "ari", "coleman_liau", "lix", "rix")
WORDS = ("unique_words", "hapax_words", "word_entropy", "mtld")
COUNTED = ("n_chars", "n_words", "n_sentences")
ADDS = {name: pa.int64() for name in COUNTED} | {
    name: pa.float64() for name in ("mean_sentence", "syllables", *GRADES, *WORDS, "deflated", "char_entropy", *CHARACTERS)
}


@declares(reads=("text",), adds=ADDS, version=1, splitter=SPLITTER)
def signals(batch: pl.DataFrame) -> pl.DataFrame:
    """Return the family `statistics`, one row a document.

    n_chars        characters; n_words: words between white space that have a letter or digit; n_sentences: what ends with a mark that
                   ends a sentence, or with a line
    mean_sentence  words a sentence; syllables: syllables a word, by a rule for English
    flesch         reading ease (Flesch 1948: 206.835 - 1.015 words a sentence - 84.6 syllables a word); higher is easier
    kincaid        grade (Kincaid et al. 1975); fog: Gunning 1952; smog: McLaughlin 1969; ari: Senter and Smith 1967; coleman_liau: 1975;
                   lix and rix: Björnsson 1968, Anderson 1983. Of English but the last four, which count letters alone
    unique_words   share of different words among all, hapax_words: of those that occur once; the house's words, in small letters
    word_entropy   entropy of the words in nats (RedPajama-V2's `rps_doc_unigram_entropy`); mtld: McCarthy and Jarvis 2010, in words
    deflated       bytes after DEFLATE (zlib, level 6) over bytes before; repetition makes it small
    char_entropy   bits a character of the characters' own distribution
    letters ..     share of characters: Unicode's letters, decimal digits, capitals, white space, punctuation, symbols, marks, control
                   and format characters, unassigned ones (with private ones and U+FFFD), ASCII

    Ratios are null where there is nothing to share.
    """
    split = words(batch)
    proper = (split.flags & SYMBOL) == 0
    owners = np.concatenate([[0], np.cumsum(proper)])[split.documents]
    different, varied = diversity(owners, split.lowers[proper])
    every, (counts, entropies) = np.diff(owners), letters(batch)
    chars = counts[:, PLACE["chars"]]
    read = reading(spaced(batch))
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {"n_chars": chars, "n_words": read[:, 0], "n_sentences": read[:, 1], **grades(*read.T.astype(np.float64))}
        columns |= {"unique_words": different[:, 0] / every, "hapax_words": different[:, 1] / every}
        columns |= {name: np.where(every > 0, varied[:, k], np.nan) for k, name in enumerate(("word_entropy", "mtld"))}
        columns |= {"deflated": _deflated(split.data, split.texts), "char_entropy": np.where(chars > 0, entropies, np.nan)}
        columns |= {name: counts[:, PLACE[name]] / chars for name in CHARACTERS}
    return pl.DataFrame({name: columns[name] for name in ADDS}, nan_to_null=True)


def grades(n_words: Ratios, sentences: Ratios, chars: Ratios, syllables: Ratios, long_words: Ratios, polysyllables: Ratios) -> dict[str, Ratios]:
    """Return the formulas of readability for counts of words, sentences, letters, syllables, long words and words of many syllables."""
    mean, per_word = n_words / sentences, syllables / n_words
    return {
        "mean_sentence": mean,
        "syllables": per_word,
        "flesch": 206.835 - 1.015 * mean - 84.6 * per_word,
        "kincaid": .39 * mean + 11.8 * per_word - 15.59,
        "fog": .4 * (mean + 100 * polysyllables / n_words),
        "smog": 1.043 * np.sqrt(30 * polysyllables / sentences) + 3.1291,
        "ari": 4.71 * chars / n_words + .5 * mean - 21.43,
        "coleman_liau": 5.88 * chars / n_words - 29.6 * sentences / n_words - 15.8,
        "lix": mean + 100 * long_words / n_words,
        "rix": long_words / sentences,
    }


def _deflated(data: Bytes, texts: Offsets) -> Ratios:
    """One call a document, and all the time is inside it: 5,000 characters take about .1 ms."""
    view = memoryview(data.data)
    pairs = zip(texts[:-1].tolist(), texts[1:].tolist(), strict=True)
    return np.array([len(zlib.compress(view[start:end], 6)) / (end - start) if end > start else np.nan for start, end in pairs])
