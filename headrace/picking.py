"""Pick records from an index by SQL, as files of byte ranges for the reader: a row a record, sorted as they lie in their files."""

import glob
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.errors import InputError, RecipeError
from catalog.files import DataWriter, write_json
from catalog.ids import digest
from catalog.lake import connect, engine_error
from catalog.parts import Part, inputs
from headrace.cdx import NAMES, view
from headrace.child import Work

if TYPE_CHECKING:
    import duckdb

RANGES = pa.schema([("path", pa.string()), ("record_offset", pa.int64()), ("length", pa.int64()), ("url", pa.string()), ("dump", pa.string())])
TYPED = (
    "CAST(path AS VARCHAR) AS path, CASE WHEN record_offset IS NOT NULL THEN coalesce(TRY_CAST(record_offset AS BIGINT), -1) END AS record_offset,"
    " TRY_CAST(length AS BIGINT) AS length, CAST(url AS VARCHAR) AS url, CAST(dump AS VARCHAR) AS dump"
)
"""A row without an offset is a whole file; an offset that is no number is none of those, and the reader refuses it."""
ONCE = (
    "SELECT DISTINCT ON (path, record_offset) path, record_offset, length, url, dump FROM picked"
    " WHERE record_offset IS NULL OR path NOT IN (SELECT path FROM picked WHERE record_offset IS NULL) ORDER BY path, record_offset, length, url, dump"
)
"""A record that two indexes name is one, and one of a file that is wished whole comes with it."""
DRAWN = "md5(coalesce(url, path)), path, record_offset"
"""The order in which records are drawn: a fair one, and the same each time."""
RECORDS, BYTES = 20_000, 256 << 20
"""Records and their bytes in one file of ranges, which is what one task reads."""


def pick(part: Part, work: Work) -> list[str]:
    """Return the files of ranges of an `index` part, written once."""
    knobs = part.bound[0].knobs
    folder = Path(work.lake.root) / "picks" / digest(work.key(part), str(work.options.limit))
    if not (folder / "picked.json").is_file():
        write_json(folder / "picked.json", {"records": write(part, inputs(part), knobs, folder)})
    return sorted(glob.glob(f"{glob.escape(str(folder))}/*.parquet"))


def write(part: Part, files: list[str], knobs: dict[str, Any], folder: Path) -> int:
    """Run the question over the index and write its answer, a file a task. Returns the number of records."""
    records, named = 0, set[str]()
    for left in folder.glob("*.parquet"):                    # by a run that broke off
        left.unlink()
    with connect(threads=os.cpu_count() or 1) as db:
        try:
            view(db, part.id, files)
        except engine_error() as error:
            raise InputError(f"{part.id}: the index cannot be read: {str(error).splitlines()[0]}; is it what its ending says?") from None
        picked = _checked(db, part, knobs["where"] or "true")
        for number, rows in enumerate(_cut(db, picked, knobs["limit"], part)):
            with DataWriter(folder / f"{part.name}-{number:05d}.parquet", RANGES) as writer:
                writer.add_table(rows)
                writer.close()
            records += rows.num_rows
            named |= set(pc.unique(rows["path"]).to_pylist())
    if not records:
        raise InputError(f"{part.id}: of the records in {len(files):,} files of an index none is picked; check where:")
    _all_there(part, knobs["root"], named)
    return records


def _checked(db: "duckdb.DuckDBPyConnection", part: Part, where: str) -> str:
    """The SELECT of all that is picked, refused where `where` is no predicate over the index."""
    picked = f"SELECT path, record_offset, length, url, dump FROM entries WHERE path <> '' AND coalesce(status, 200) = 200 AND (\n{where}\n)"
    picked = f"SELECT {TYPED} FROM ({picked})"
    try:
        if len(db.extract_statements(_once(picked))) != 1:
            raise RecipeError(f"{part.id}: where: {where!r} is more than a predicate")
        db.execute(f"EXPLAIN {_once(picked)}")
    except engine_error() as error:
        said = str(error).splitlines()[0]
        raise RecipeError(f"{part.id}: where: {said}; it may name {', '.join(NAMES)}, and the columns of the index") from None
    return picked


def _once(picked: str) -> str:
    """The SELECT of each record once."""
    return f"WITH picked AS MATERIALIZED ({picked}) {ONCE}"


def _drawn(db: "duckdb.DuckDBPyConnection", picked: str, limit: int) -> str:
    """The SELECT of so many records, drawn by a hash. No more mentions of them are held than it takes: an index may have billions."""
    many, mentions, records, once = limit + 1, limit + 1, 0, _once("SELECT * FROM drawn")
    while records <= limit and mentions == many:
        many *= 2
        db.execute(f"CREATE OR REPLACE TEMP TABLE drawn AS SELECT * FROM ({picked}) ORDER BY {DRAWN}, length, url, dump LIMIT {many}")
        mentions, records = db.execute(f"SELECT (SELECT count(*) FROM drawn), (SELECT count(*) FROM ({once}))").fetchall()[0]
    return f"SELECT * FROM (SELECT * FROM ({once}) ORDER BY {DRAWN} LIMIT {limit}) ORDER BY path, record_offset"


def _cut(db: "duckdb.DuckDBPyConnection", picked: str, limit: int | None, part: Part) -> Iterator[pa.Table]:
    """The records in pieces of a task's size."""
    try:
        question = _once(picked) if limit is None else _drawn(db, picked, int(limit))
        for batch in db.execute(question).to_arrow_reader(RECORDS):
            sizes = np.cumsum(pc.fill_null(batch["length"], 0).to_numpy(zero_copy_only=False))
            ends = [*(np.flatnonzero(np.diff(sizes // BYTES)) + 1).tolist(), batch.num_rows]
            for start, end in zip([0, *ends], ends, strict=False):
                if end > start:
                    yield pa.Table.from_batches([batch.slice(start, end - start)])
    except (engine_error(), pa.ArrowException) as error:
        raise InputError(f"{part.id}: the index cannot be read: {str(error).splitlines()[0]}") from None


def _all_there(part: Part, root: str, named: Collection[str]) -> None:
    """Refuse to begin where files that are picked from do not stand under the root."""
    outside = sorted(filter(_leads_out, named))
    if outside:
        raise InputError(f"{part.id}: {outside[0]}: a path in an index starts from the root; this one leads out of it")
    if "://" in root:
        if not root.lower().startswith(("http://", "https://")):
            raise InputError(f"{part.id}: root: {root}: is neither a folder nor an http(s) address")
        return
    missing = sorted(path for path in named if not os.path.isfile(os.path.join(root, path)))
    if missing:
        gone = f"{len(missing):,} of {len(named):,} files that it picks from are not under {root}, such as {missing[0]}"
        raise InputError(f"{part.id}: {gone}; fetch them, set root:, or narrow where:")


def _leads_out(path: str) -> bool:
    """Whether a path is absolute or climbs, also for a server that decodes what is quoted, twice if it likes."""
    plain = unquote(unquote(unquote(path)))
    return os.path.isabs(plain) or ".." in re.split(r"[/\\]", plain)
