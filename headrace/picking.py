"""Pick records from an index by SQL, as files of byte ranges for the reader: a row a record, sorted as they lie in their files."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

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
    "CAST(path AS VARCHAR) AS path, TRY_CAST(record_offset AS BIGINT) AS record_offset, TRY_CAST(length AS BIGINT) AS length,"
    " CAST(url AS VARCHAR) AS url, CAST(dump AS VARCHAR) AS dump"
)
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
    with connect(threads=os.cpu_count() or 1) as db:
        try:
            view(db, part.id, files)
        except engine_error() as error:
            raise InputError(f"{part.id}: the index cannot be read: {str(error).splitlines()[0]}; is it what its ending says?") from None
        question = _question(db, part, knobs)
        records = 0
        for number, rows in enumerate(_cut(db, question, part)):
            with DataWriter(folder / f"{part.name}-{number:05d}.parquet", RANGES) as writer:
                for row in rows:
                    writer.add(row)
                writer.close()
            records += len(rows)
    if not records:
        raise InputError(f"{part.id}: of the records in {len(files):,} files of an index none is picked; check where:")
    _all_there(part, knobs["root"], folder)
    return records


def _question(db: "duckdb.DuckDBPyConnection", part: Part, knobs: dict[str, Any]) -> str:
    """The SELECT of the records, refused where `where` is no predicate over the index."""
    where = knobs["where"] or "true"
    picked = f"SELECT path, record_offset, length, url, dump FROM entries WHERE path IS NOT NULL AND coalesce(status, 200) = 200 AND (\n{where}\n)"
    if knobs["limit"] is not None:
        picked = f"SELECT * FROM ({picked}) ORDER BY md5(coalesce(url, path)), path, record_offset LIMIT {int(knobs['limit'])}"
    question = f"SELECT DISTINCT {TYPED} FROM ({picked}) ORDER BY path, record_offset"
    try:
        if len(db.extract_statements(question)) != 1:
            raise RecipeError(f"{part.id}: where: {where!r} is more than a predicate")
        db.execute(f"EXPLAIN {question}")
    except engine_error() as error:
        said = str(error).splitlines()[0]
        raise RecipeError(f"{part.id}: where: {said}; it may name {', '.join(NAMES)}, and the columns of the index") from None
    return question


def _cut(db: "duckdb.DuckDBPyConnection", question: str, part: Part) -> Iterator[list[dict[str, Any]]]:
    """The answer in pieces of a task's size."""
    try:
        answer = db.execute(question)
        held: list[dict[str, Any]] = []
        size = 0
        while rows := answer.fetchmany(10_000):
            for row in rows:
                if held and (len(held) >= RECORDS or size + (row[2] or 0) > BYTES):
                    yield held
                    held, size = [], 0
                held.append(dict(zip(RANGES.names, row, strict=True)))
                size += row[2] or 0
        if held:
            yield held
    except engine_error() as error:
        raise InputError(f"{part.id}: the index cannot be read: {str(error).splitlines()[0]}") from None


def _all_there(part: Part, root: str, folder: Path) -> None:
    """Refuse to begin where files that are picked from do not stand under the root."""
    named = sorted({str(path) for file in folder.glob("*.parquet") for path in pq.read_table(file, columns=["path"])["path"].to_pylist()})
    missing = [path for path in named if not os.path.isfile(os.path.join(root, path))] if "://" not in root else []
    outside = [path for path in named if os.path.isabs(path) or ".." in path.split("/")]
    if outside:
        raise InputError(f"{part.id}: {outside[0]}: a path in an index starts from the root; this one leads out of it")
    if missing:
        gone = f"{len(missing):,} of {len(named):,} files that it picks from are not under {root}, such as {missing[0]}"
        raise InputError(f"{part.id}: {gone}; fetch them, set root:, or narrow where:")
