"""What datatrove's filters say of texts whose words are given. Run by test_curate_parity in the oracles' environment.

oracle_filters.py TEXTS VERDICTS: Parquet in (text, words; lines and line_words: the texts and words of the lines that C4
counts sentences of, and of what it leaves), Parquet out: a column a filter with the reason for which it drops the text,
null where it keeps it; what the C4 filters leave of the text, and as `fineweb_after_c4` what FineWeb's filter says of that.
spaCy's own sentence rule runs over the given words. Of the first COUNTED texts, `counts` holds the numbers behind the
repetition filter: characters in the commonest run of 2, 3, 4 words (-1: no run), in repeated runs of 5 to 10 words, and
repeated lines, their characters, repeated paragraphs, their characters.

oracle_filters.py: without arguments, datatrove's set of punctuation and spaCy's of signs that end a sentence, as JSON.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import spacy
from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.filters import gopher_repetition_filter as repetition
from datatrove.utils import text as splitting
from datatrove.utils import word_tokenizers
from spacy.pipeline import Sentencizer
from spacy.tokens import Doc


class Given(word_tokenizers.WordTokenizer):
    """datatrove's splitter, replaced: the words of a text are looked up."""

    def __init__(self) -> None:
        super().__init__("en")
        self.words: dict[str, list[str]] = {}
        self.vocab, self.rule = spacy.blank("en").vocab, Sentencizer()

    def word_tokenize(self, text: str) -> list[str]:
        return self.words[text]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        document = self.rule(Doc(self.vocab, words=self.words[text]))
        return [(sentence.start_char, sentence.end_char) for sentence in document.sents] if len(document) else []

    def sent_tokenize(self, text: str) -> list[str]:
        raise NotImplementedError("no filter asks for it")


FILTERS: dict[str, Callable[[], Any]] = {
    "repetition": GopherRepetitionFilter,
    "quality": GopherQualityFilter,
    "c4": C4QualityFilter,
    "c4_loose": lambda: C4QualityFilter(filter_no_terminal_punct=False),
    "fineweb": FineWebQualityFilter,
}


COUNTED = 3000


def counts(text: str, words: list[str]) -> list[int]:
    """Return the numbers behind the repetition filter."""
    grams = [repetition.get_n_grams(words, n) for n in (2, 3, 4)]
    found = [repetition.find_top_duplicate(of_n) if of_n else -1 for of_n in grams]
    found += [repetition.find_all_duplicate(words, n) for n in range(5, 11)]
    lines, paragraphs = re.split("\n+", text), re.split("\n{2,}", text.strip())
    return [*found, *repetition.find_duplicates(lines), *repetition.find_duplicates(paragraphs)]


def reason(judge: Any, document: Document) -> str | None:
    """Return why a filter drops a document, or the name of what it raised; None where the document stays."""
    try:
        kept = judge.filter(document)
    except (ZeroDivisionError, KeyError) as error:
        return type(error).__name__
    return None if kept is True else str(kept[1])


def verdicts(path: str) -> Iterator[dict[str, Any]]:
    """Yield, a text, the reason of each filter for dropping it, or the name of what the filter raised."""
    given = Given()
    word_tokenizers.load_word_tokenizer = lambda language: given  # every filter asks this function for its splitter
    filters = {name: make() for name, make in FILTERS.items()}
    left = COUNTED
    for batch in pq.ParquetFile(path).iter_batches(512):
        for row in batch.to_pylist():
            given.words = dict(zip(row["lines"], row["line_words"], strict=True)) | {row["text"]: row["words"]}
            splitting.split_into_parts.cache_clear()
            verdict: dict[str, Any] = {}
            for name, judge in filters.items():
                document = Document(text=row["text"], id="")
                verdict[name] = reason(judge, document)
                if name.startswith("c4"):
                    verdict[f"{name}_text"] = document.text
                if name == "c4_loose":
                    verdict["fineweb_after_c4"] = reason(filters["fineweb"], document) if verdict[name] is None else "not asked"
            left -= 1
            verdict["counts"] = counts(row["text"], row["words"]) if left >= 0 and row["text"] else None
            yield verdict


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(json.dumps(["".join(sorted(splitting.PUNCTUATION_SET)), "".join(sorted(Sentencizer.default_punct_chars))]))
        sys.exit()
    pq.write_table(pa.Table.from_pylist(list(verdicts(sys.argv[1]))), sys.argv[2])
