"""Items of evaluation sets that stand in texts: what a model has read it cannot be examined on."""

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from catalog.errors import InputError
from catalog.split import SPLITTER, Offsets, Words
from catalog.stage import Benchmarks, ModelName, declares, words
from curate.bench.index import WHOLE, Index, read
from curate.bench.match import Floats, Found, apart, best, match
from curate.bench.soft import Near, meant, nearest
from curate.models.opened import opened
from curate.models.vectors import load
from curate.text.places import characters

SPAN = pa.struct(
    [("kind", pa.string()), ("start", pa.int64()), ("end", pa.int64()), ("benchmark", pa.string()), ("item", pa.string()), ("score", pa.float64())]
)
SCORES = ("score", "verbatim", "ngram", "weighted")
ADDS = (
    {"benchmark": pa.string(), "item": pa.string()} | {name: pa.float64() for name in (*SCORES, "answer")}
    | {"items": pa.int64(), "spans": pa.list_(SPAN), "soft": pa.float64(), "soft_item": pa.string(), "soft_spans": pa.list_(SPAN)}
)  # fmt: skip
NEAR = 0.3
"""Share of an item below which what stands there is not even told of."""
STRICT, BRIEF, LONG = 0.9, 3.0, 6.0
"""Share that is asked of an item that says as little as BRIEF words that no other item has; it falls to the knob's at LONG such words. Of the passages of
books, papers and code (docs/decontamination.md) those that hold the title of a film in a question about it would pass by less."""
ANSWERED, EASED = 0.8, 0.1
"""Share of the answer's words that must stand behind a question to count, and how much less of the question is asked for then."""


@declares(reads=("text",), adds=ADDS, version=2, family="contamination", splitter=SPLITTER, models=("vectors",))
def spans(
    batch: pl.DataFrame, *, against: Benchmarks, ngram: int = 13, overlap: float = 0.6, soft: ModelName | None = None, soft_at: float = 0.7
) -> pl.DataFrame:
    """Return the family `contamination`: which items of the evaluation sets `against` stand in each text.

    benchmark, item   of the item that is matched best: its dataset and its doc_id; null where none is
    score             of that item, 0 to 1: 1 where it stands verbatim, else `weighted`; 0 where no item is matched
    verbatim          1 where all words of an item stand in one row, in small letters and without signs
    ngram             the largest share of an item that stands in runs of `ngram` words (GPT-3; an item of fewer: all that it has)
    weighted          the largest share of an item that stands there in order, by how rare its words are among items; gaps of 6 words are read over
    answer            share of the words of that item's answer that stand within twice their number behind it; null where it is too short to say anything
    items             how many items are matched
    spans             where: kind (verbatim, weighted, ngram, and answer for what stands behind one of these), start, end in characters, benchmark,
                      item, score (of an answer the share of its words); for a policy's `cut:`
    soft              the largest cosine of a stretch's vector and an item's, both by the model `soft`; null without one, and in a text too short for any
    soft_item         the doc_id of that item; null below `soft_at`
    soft_spans        stretches from `soft_at` on, as `spans` with kind soft and the cosine as score: hints, no matches. Not told of an item that is matched in
                      the text, nor where half of the stretch stands in another span

    An item is matched by `overlap` of its words, by weight and by number (more where they say little, .1 less where its answer stands behind), or by
    a run of `ngram` words. One of 5 to 7 words needs all of them and its answer; a shorter one is not looked for. `ngram` and `weighted` also tell of what is
    no match, from .3 on. `against` names datasets such as bench.*, those that the recipe makes and those of the lake; `soft` a model of word vectors, which
    `quality:` fits with `embed:`: it is slow, and looks for items of 17 words and more.
    """
    if not isinstance(against, str):
        raise InputError("contamination.spans: against: is the folder of an index here; a recipe's names of datasets are made one by `headrace run`")
    if not (5 <= ngram <= 100 and 0.3 <= overlap <= 1):
        raise InputError(f"contamination.spans: ngram: {ngram} is 5 to 100 words, overlap: {overlap} a share from 0.3 to 1")
    if not 0 < soft_at <= 1:
        raise InputError(f"contamination.spans: soft_at: {soft_at} is a cosine above 0 and at most 1")
    index, split = opened(against, read, "contamination.spans"), words(batch)
    found = match(split, index, ngram, NEAR)
    near = {name: _most(values, found.text, batch.height) for name, values in (("ngram", found.run), ("weighted", found.weighted))}
    found = found.filter(scored(found, overlap) > 0)
    found = best(found, scored(found, overlap), index.owners)
    placed = _placed(_matches(found, index, overlap), split, found)
    told = pl.DataFrame({"text": np.arange(batch.height), **near}).join(_by_text(placed), on="text", how="left", maintain_order="left")
    told = told.join(_softly(split, index, soft, soft_at, placed), on="text", how="left", maintain_order="left")
    if soft is not None:
        told = told.with_columns(pl.col("soft_spans").fill_null([]))
    return told.with_columns(pl.col("score", "verbatim").fill_null(0.0), pl.col("items").fill_null(0), pl.col("spans").fill_null([])).select(list(ADDS))


def needed(found: Found, overlap: float) -> Floats:
    """Return the share of an item that makes a match of it, by what it says and whether its answer stands behind it; of the shortest 1, with its answer."""
    answered = found.answer >= ANSWERED
    asked = np.interp(found.rare, [BRIEF, LONG], [max(STRICT, overlap), overlap]) - EASED * answered
    out: Floats = np.where(found.size < WHOLE, np.where(answered, 1.0, np.inf), asked)
    return out


def scored(found: Found, overlap: float) -> Floats:
    """Return the score of each place that is a match, 0 for the others."""
    asked = needed(found, overlap)
    hit = np.where(found.size < WHOLE, found.verbatim & (asked <= 1), (_least(found) >= asked) | (found.run > 0))
    out: Floats = np.where(hit, np.where(found.verbatim, 1.0, found.weighted), 0.0)
    return out


def _least(found: Found) -> Floats:
    """Return the share of an item that was found, by weight or by number of words, whichever is less: a title has the rare words of a question."""
    return np.minimum(found.weighted, found.counted)


def _most(values: Floats, texts: Offsets, rows: int) -> pl.Series:
    """Return the largest value of each text, 0 where it has none."""
    out = np.zeros(rows)
    np.maximum.at(out, texts, values)
    return pl.Series(out)


def _matches(found: Found, index: Index, overlap: float) -> pl.DataFrame:
    """Return one row a match: text, kind, benchmark, item, score, verbatim, answer."""
    kinds = np.where(found.verbatim, "verbatim", np.where(_least(found) >= needed(found, overlap), "weighted", "ngram"))
    items = found.item.tolist()
    return pl.DataFrame(
        {
            "text": found.text, "kind": pl.Series(kinds.tolist(), dtype=pl.String), "benchmark": pl.Series(map(index.named, items), dtype=pl.String),
            "item": pl.Series([index.ids[i] for i in items], dtype=pl.String), "score": scored(found, overlap),
            "verbatim": found.verbatim.astype(np.float64), "answer": pl.Series(found.answer).replace(-1.0, None),
        }
    )  # fmt: skip


def _placed(matches: pl.DataFrame, split: Words, found: Found) -> pl.DataFrame:
    """Return the matches with `start` and `end` in characters of their text, in order; behind those that are answered, a row of kind `answer`."""
    placed = matches.with_columns(start=pl.Series(split.starts[found.first]), end=pl.Series(split.ends[found.end - 1]))
    behind = (found.answer >= ANSWERED) & (found.answered > found.end)
    answers = placed.filter(pl.Series(behind)).with_columns(
        pl.lit("answer").alias("kind"), score=pl.col("answer"), start=pl.Series(split.starts[np.minimum(found.end, split.starts.size - 1)][behind]),
        end=pl.Series(split.ends[found.answered - 1][behind]),
    )  # fmt: skip
    return _in_characters(pl.concat([placed, answers]), split)


def _in_characters(placed: pl.DataFrame, split: Words) -> pl.DataFrame:
    """Return stretches in order, `start` and `end` no more in bytes but in characters of their text."""
    bytes_ = pl.concat([placed.select("text", byte=edge) for edge in ("start", "end")]).unique().sort("text", "byte")
    known = bytes_.with_columns(char=pl.Series(characters(split.data, split.texts, bytes_["text"].to_numpy(), bytes_["byte"].to_numpy())))
    for edge in ("start", "end"):
        placed = placed.join(known.rename({"byte": edge}), on=["text", edge], how="left", maintain_order="left")
        placed = placed.with_columns(pl.col("char").alias(edge)).drop("char")
    return placed.sort("text", "start", "end", "benchmark", "item")


SOFT: dict[str, Any] = {"text": pl.Int64, "soft": pl.Float64, "soft_item": pl.String, "soft_spans": pl.List(pl.Struct(
    {"kind": pl.String, "start": pl.Int64, "end": pl.Int64, "benchmark": pl.String, "item": pl.String, "score": pl.Float64}))}  # fmt: skip


def _softly(split: Words, index: Index, model: str | None, least: float, hard: pl.DataFrame) -> pl.DataFrame:
    """Return text, soft, soft_item and soft_spans of each text that has a stretch to compare; none without a model. hard: what was found by its words."""
    if model is None:
        return pl.DataFrame(schema=SOFT)
    vectors = opened(model, load, "contamination.spans")
    found = nearest(split, vectors, meant(index, vectors))
    order = np.lexsort((found.first, found.item, -found.cosine, found.text))
    top = order[np.unique(found.text[order], return_index=True)[1]]
    told = pl.DataFrame({"text": found.text[top], "soft": found.cosine[top], "soft_item": pl.Series([index.ids[i] for i in found.item[top]], dtype=pl.String)})
    hints = _hints(found.filter(found.cosine >= least), split, index)
    both = hints.join(hard.select("text", "benchmark", a="start", b="end", by_words="item"), on="text", suffix="_by_words")
    shared = pl.min_horizontal("end", "b") - pl.max_horizontal("start", "a")
    same = (pl.col("item") == pl.col("by_words")) & (pl.col("benchmark") == pl.col("benchmark_by_words"))
    hints = hints.join(both.filter(same | (2 * shared > pl.col("end") - pl.col("start"))), on="row", how="anti", maintain_order="left")
    by = hints.group_by("text", maintain_order=True).agg(soft_spans=pl.struct("kind", "start", "end", "benchmark", "item", "score"))
    return told.with_columns(pl.when(pl.col("soft") >= least).then("soft_item")).join(by, on="text", how="left", maintain_order="left")


def _hints(found: Near, split: Words, index: Index) -> pl.DataFrame:
    """Return one row a stretch, its number and its place in characters; of those that share most of their words with a nearer one of a benchmark, that one."""
    owners = index.owners[found.item].astype(np.int64)
    order = np.lexsort((found.first, found.item, -found.cosine, owners, found.text))
    found = found.filter(apart(order, found.text, owners, found.first, found.end))
    items = found.item.tolist()
    rows = pl.DataFrame(
        {
            "text": found.text, "kind": pl.Series(["soft"] * len(items), dtype=pl.String), "start": split.starts[found.first],
            "end": split.ends[found.end - 1], "benchmark": pl.Series(map(index.named, items), dtype=pl.String),
            "item": pl.Series([index.ids[i] for i in items], dtype=pl.String), "score": found.cosine,
        }
    )  # fmt: skip
    return _in_characters(rows, split).with_row_index("row")


def _by_text(matches: pl.DataFrame) -> pl.DataFrame:
    """Return one row a text that has any match."""
    questions = pl.col("kind") != "answer"
    top = pl.when(questions).then(pl.col("score")).arg_max()
    return matches.group_by("text", maintain_order=True).agg(
        pl.col("benchmark", "item", "score", "answer").get(top), pl.col("verbatim").max(),
        items=pl.struct("benchmark", "item").n_unique().cast(pl.Int64), spans=pl.struct("kind", "start", "end", "benchmark", "item", "score"),
    )  # fmt: skip
