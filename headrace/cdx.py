"""An index of WARC records as a view, under one set of names: Common Crawl's columnar one, CDX and CDXJ, and manifests."""

import gzip
import os
import re
import zlib
from typing import TYPE_CHECKING

from catalog.errors import InputError

if TYPE_CHECKING:
    import duckdb

NAMES = {
    "url": ("url", "uri"), "host": ("host", "url_host_name"), "domain": ("domain", "url_host_registered_domain"), "tld": ("tld", "url_host_tld"),
    "mime": ("mime", "content_mime_detected", "content_mime_type"), "language": ("language", "content_languages", "languages"),
    "fetched_at": ("fetched_at", "fetch_time"), "status": ("status", "fetch_status"), "path": ("path", "warc_filename", "filename"),
    "record_offset": ("record_offset", "warc_record_offset", "offset"), "length": ("length", "warc_record_length"),
    "digest": ("digest", "content_digest"), "dump": ("dump", "crawl"),
}  # fmt: skip
"""Our names, and what Common Crawl's columnar index and others call the same."""
HOST = "regexp_extract(url, '^[a-zA-Z]+://([^/:?#]+)', 1)"
LABELS = "string_split(host, '.')"
WIDE = "('co', 'com', 'org', 'net', 'gov', 'ac', 'edu', 'ne', 'or', 'go', 'gob', 'gouv')"
DERIVED = {
    "host": HOST, "tld": "regexp_extract(host, '([^.]+)$', 1)",
    "domain": f"array_to_string({LABELS}[CASE WHEN length(tld) = 2 AND {LABELS}[-2] IN {WIDE} THEN -3 ELSE -2 END:], '.')",
}  # fmt: skip
"""What follows from an address, where the index does not say it. A registered domain is then a guess by the second-level names of most countries."""
LETTERS = {"a": "url", "b": "stamp", "m": "mime", "s": "status", "k": "digest", "S": "length", "V": "offset", "g": "filename"}
"""The fields of a CDX file that are used, by the letters of its header."""
BARE = {9: "N b a m s k r V g", 10: "N b a m s k r M V g"}
WIDEST = "N b a m s k r M S V g"
"""What stands in a CDX file without a header, by the number of its fields: the usual forms, of which only the widest knows lengths."""
ENDINGS = ("parquet", "cdxj", "cdx", "jsonl", "csv")
COMMON_CRAWL = re.compile(r"cdx-\d+")
"""How Common Crawl names the files of its CDXJ."""


def view(db: "duckdb.DuckDBPyConnection", part: str, files: list[str]) -> None:
    """Make the view `entries` over all files, with our names beside theirs. `part` is who asks, for errors."""
    made = []
    for number, ((kind, fields), paths) in enumerate(_kinds(part, files).items()):
        name = f"raw_{number}"
        listed = "[" + ", ".join("'" + path.replace("'", "''") + "'" for path in paths) + "]"
        db.execute(f"CREATE TEMP VIEW {name} AS {_reading(kind, listed, fields)}")
        have = [str(row[0]) for row in db.execute(f"DESCRIBE {name}").fetchall()]
        more = {ours: next((theirs for theirs in names if theirs in have), None) for ours, names in NAMES.items()}
        inner = ", ".join(f'"{theirs}" AS {ours}' for ours, theirs in more.items() if theirs and ours not in have)
        select = f"SELECT *{', ' if inner else ''}{inner} FROM {name}"
        for ours in ("host", "tld", "domain"):
            if not more[ours]:
                select = f"SELECT *, {DERIVED[ours] if more['url'] else 'CAST(NULL AS VARCHAR)'} AS {ours} FROM ({select})"
        absent = ", ".join(f"NULL AS {ours}" for ours, theirs in more.items() if not theirs and ours not in ("host", "tld", "domain"))
        made.append(f"SELECT *{', ' if absent else ''}{absent} FROM ({select})")
        if not more["path"]:
            raise InputError(f"{part}: {paths[0]}: names no file: it has none of the columns {', '.join(NAMES['path'])}")
    db.execute(f"CREATE TEMP VIEW entries AS {' UNION ALL BY NAME '.join(made)}")


def _kinds(part: str, files: list[str]) -> dict[tuple[str, str], list[str]]:
    """The files by what they are, those of CDX also by the letters of their fields."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in files:
        bare, fields = os.path.basename(path).removesuffix(".gz"), ""
        kind = "cdx" if COMMON_CRAWL.fullmatch(bare) else next((kind for kind in ENDINGS if bare.endswith(f".{kind}")), None)
        if kind is None or (kind == "parquet" and path.endswith(".gz")):
            raise InputError(f"{part}: {path}: an index is .parquet, .cdxj, .cdx (with .gz too), a manifest .parquet, .jsonl or .csv")
        if kind == "cdx":
            kind, fields = _cdx(part, path)
        found.setdefault((kind, fields), []).append(path)
    return found


def _cdx(part: str, path: str) -> tuple[str, str]:
    """Whether a CDX file is one of JSON, as Common Crawl's are, and the letters of its fields if not."""
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            line = file.readline(1 << 20).decode("utf-8", "replace")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{part}: {path}: the index cannot be read: {error}") from None
    if line.rstrip().endswith("}"):
        return "cdxj", ""
    said = line.split()
    letters = said[1:] if said[:1] == ["CDX"] else BARE.get(len(said), WIDEST).split()
    if "g" not in letters:
        raise InputError(f"{part}: {path}: names no file: its header lacks the letter g")
    return "cdx", " ".join(letters)


def _reading(kind: str, listed: str, letters: str) -> str:
    """The SELECT that reads files of a kind, of CDX with these fields."""
    if kind == "parquet":
        return f"SELECT * FROM read_parquet({listed}, hive_partitioning = true, union_by_name = true)"
    if kind == "jsonl":
        return f"SELECT * FROM read_json({listed}, format = 'newline_delimited', union_by_name = true)"
    if kind == "csv":
        return f"SELECT * FROM read_csv({listed}, union_by_name = true)"
    # a line that is no UTF-8, or of megabytes, costs itself
    whole = "columns = {'line': 'VARCHAR'}, delim = '\\x01', quote = '', escape = '', header = false, auto_detect = false, ignore_errors = true"
    lines = f"SELECT line FROM read_csv({listed}, {whole})"
    stamp = "try_strptime(left(stamp, 14), '%Y%m%d%H%M%S') AS fetched_at"
    if kind == "cdxj":
        named = {"url": "url", "mime": "mime", "detected": "mime-detected", "status": "status", "digest": "digest", "length": "length", "offset": "offset",
                 "filename": "filename", "languages": "languages"}  # fmt: skip
        said = ", ".join(f"json_extract_string(body, '$.\"{theirs}\"') AS {ours}" for ours, theirs in named.items())
        body = "substr(line, position('{' IN line))"
        split = f"SELECT split_part(line, ' ', 2) AS stamp, {body} AS body FROM ({lines}) WHERE line LIKE '%{{%' AND json_valid({body})"
        fields = f"SELECT stamp, {said} FROM ({split})"
        mime = "coalesce(detected, mime) AS mime"
    else:
        places = {letter: place for place, letter in enumerate(letters.split(), 1)}
        said = ", ".join(f"split_part(line, ' ', {places.get(letter, 1000)}) AS {name}" for letter, name in LETTERS.items())  # beyond the last it is empty
        fields = f"SELECT {said} FROM ({lines}) WHERE line NOT LIKE ' CDX %'"
        mime = "mime"
    offset = 'coalesce(TRY_CAST("offset" AS BIGINT), -1) AS record_offset'  # a line speaks of a record, never of a whole file
    numbers = f"TRY_CAST(status AS INTEGER) AS status, {offset}, TRY_CAST(length AS BIGINT) AS length"
    return f"SELECT * EXCLUDE (stamp, mime, status, \"offset\", length), {mime}, {numbers}, {stamp} FROM ({fields})"
