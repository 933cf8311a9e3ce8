"""Have we this text already, and where: candidates by the band tables and hashes that lie beside data files, verified by true Jaccard.

The texts of the lake are not read but for the candidates. What is asked about is sketched with the knobs of each table, as its footer tells them.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from catalog.files import DataFile
from catalog.rows import take
from catalog.split import SPLITTER
from catalog.stage import words
from curate.corpus import cut
from curate.exact import BY, hashes
from curate.exact import sketches as of_exact
from curate.grams import Hashes, Offsets, gram_sets, jaccards
from curate.minhash import TABLE_VERSION, band_names, band_table, chance
from curate.sketches import Made

BANDS, EXACT = "curate.minhash:band_table", "curate.exact:hashes"
NGRAM = 5
"""Words a gram where a dataset has hashes alone, and copies that were found by them are compared."""

MOST = 500
"""Candidates of one text that are compared in a dataset, those first that share most bands: of a page copied 200,000 times, these."""

HITS = pl.Schema(
    {"asked": pl.Int64, "file": pl.Int64, "row": pl.Int64, "doc_id": pl.String, "uri": pl.String, "jaccard": pl.Float64, "exact": pl.Boolean}
)
"""`asked` is the number of the text, `file` that of the data file; `exact` says that all words are the same, in their order."""


@dataclass(frozen=True)
class Ground:
    """Tables of one make, by the number of the data file that each is about; `ngram` and `tokens` say what Jaccard means there."""

    knobs: dict[str, object]
    paths: dict[int, str]
    ngram: int
    tokens: str

    @property
    def banded(self) -> bool:
        return "bands" in self.knobs

    def chance(self, jaccard: float) -> float:
        """The probability that a document at this Jaccard is found."""
        return chance(jaccard, int(str(self.knobs["bands"])), int(str(self.knobs["rows"]))) if self.banded else float(jaccard == 1)


def grounds(files: Sequence[DataFile], tables: Iterable[Made]) -> list[Ground]:
    """Return what is known of data files, make by make: of each file the band table that finds most, or hashes where it has none.

    A table that this version would make otherwise is left out: its keys mean something else.
    """
    number = {file.id: place for place, file in enumerate(files)}
    made: dict[str, dict[int, str]] = defaultdict(dict)
    covered: set[int] = set()
    wanted = {BANDS: TABLE_VERSION, EXACT: of_exact()[0].version}
    for table in sorted(tables, key=lambda table: (-_finds(json.loads(table.knobs)), table.knobs, table.path)):
        place, knobs = number.get(table.file), json.loads(table.knobs)
        if place is None or place in covered or wanted.get(table.function) != table.version or table.splitter != SPLITTER:
            continue
        if table.function == BANDS or "text" in knobs["by"]:
            made[table.knobs][place] = table.path
            covered.add(place)
    told = [(json.loads(knobs), paths) for knobs, paths in made.items()]
    return [Ground(knobs, paths, int(knobs.get("ngram", NGRAM)), str(knobs.get("tokens", "words"))) for knobs, paths in told]


def _finds(knobs: dict[str, object]) -> float:
    """How good a table is for looking up: the chance of a pair at .5, less than any where it has no bands."""
    return chance(0.5, int(str(knobs["bands"])), int(str(knobs["rows"]))) if "bands" in knobs else -1.0


def look_up(texts: pl.Series, files: Sequence[DataFile], told: Sequence[Ground], least: float) -> pl.DataFrame:
    """Return the documents that share at least `least` with a text (HITS), the nearest of each text first."""
    asked = pl.DataFrame({"text": texts})
    found = [hit for ground in told for hit in _in_ground(asked, files, ground, least)]
    order = ["asked", "exact", "jaccard", "doc_id", "file", "row"]
    return pl.concat([HITS.to_frame(), *found]).sort(order, descending=[False, True, True, False, False, False])


def _in_ground(asked: pl.DataFrame, files: Sequence[DataFile], ground: Ground, least: float) -> Iterator[pl.DataFrame]:
    keys = _keys(asked, ground)
    parts = [_met(path, keys).with_columns(file=pl.lit(place, pl.Int64)) for place, path in ground.paths.items()]
    met = pl.concat(parts).sort(["asked", "met", "file", "row"], descending=[False, True, False, False])
    candidates = met.filter(pl.int_range(pl.len()).over("asked") < MOST).sort("file", "row")
    if not candidates.height:
        return
    grams, same = _sketched(asked, ground)
    for (place,), inside in candidates.group_by("file", maintain_order=True):
        yield _compared(files[int(str(place))], inside, grams, same, ground, least)


def _keys(asked: pl.DataFrame, ground: Ground) -> dict[str, pl.DataFrame]:
    """What the texts have in each column of the tables: asked, key."""
    if ground.banded:
        keys = band_table(asked, **ground.knobs)  # type: ignore[arg-type]
        names = band_names(keys.width)
    else:
        keys, names = hashes(asked, by=("text",), tokens=ground.tokens), BY["text"][:1]
    numbered = keys.with_columns(asked=pl.int_range(keys.height, dtype=pl.Int64))
    return {name: numbered.select("asked", key=name).drop_nulls() for name in names}


def _met(path: str, keys: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Return asked, row and how many keys they share, of the rows of one table that share any."""
    any_of = pl.any_horizontal(pl.col(name).is_in(told["key"].unique().implode()) for name, told in keys.items())
    rows = pl.scan_parquet(path, glob=False).select("row", *keys).filter(any_of).collect()
    pairs = [rows.select("row", key=name).join(told, on="key").select("asked", "row") for name, told in keys.items()]
    return pl.concat(pairs).group_by("asked", "row").agg(met=pl.len())


def _sketched(batch: pl.DataFrame, ground: Ground) -> tuple[tuple[Hashes, Offsets], pl.DataFrame]:
    """Gram sets and word hashes of texts, from one split."""
    return gram_sets(words(batch), ground.ngram, ground.tokens), hashes(batch, by=("text",), tokens=ground.tokens)


def _compared(
    file: DataFile, pairs: pl.DataFrame, grams: tuple[Hashes, Offsets], same: pl.DataFrame, ground: Ground, least: float
) -> pl.DataFrame:
    """Return the candidates of one file that share enough, by what their texts say."""
    there = pairs["row"].unique().sort()
    held = pl.DataFrame(pl.from_arrow(take(file.full_path, there.to_numpy(), ["doc_id", "uri", "text"])))
    told, start = [], 0
    for batch in cut(held):
        rows = there.slice(start, batch.height)
        start += batch.height
        inside = pairs.join(pl.DataFrame({"row": rows, "at": pl.int_range(batch.height, eager=True, dtype=pl.Int64)}), on="row", maintain_order="left")
        (sets, offsets), hashed = _sketched(batch, ground)
        whole = np.concatenate([grams[0], sets]), np.concatenate([grams[1], offsets[1:] + grams[1][-1]])
        share = jaccards(*whole, inside["asked"].to_numpy(), inside["at"].to_numpy() + len(grams[1]) - 1)
        exact = _alike(same[inside["asked"]], hashed[inside["at"]])
        found = inside.with_columns(batch.select("doc_id", "uri")[inside["at"]], jaccard=pl.Series(share), exact=exact)
        told.append(found.filter(pl.col("exact") | (pl.col("jaccard") >= least)).select(list(HITS)))
    return pl.concat([HITS.to_frame(), *told])


def _alike(ours: pl.DataFrame, theirs: pl.DataFrame) -> pl.Series:
    return pl.Series([one == other for one, other in zip(ours.iter_rows(), theirs.iter_rows(), strict=True)], dtype=pl.Boolean)
