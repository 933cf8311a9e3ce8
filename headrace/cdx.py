"""An index of WARC records as a view, under one set of names: Common Crawl's columnar one, CDX and CDXJ, and manifests."""

import gzip
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


def view(db: "duckdb.DuckDBPyConnection", part: str, files: list[str]) -> None:
    """Make the view `entries` over all files, with our names beside theirs. `part` is who asks, for errors."""
    made = []
    for kind, paths in _kinds(part, files).items():
        name = f"raw_{kind}"
        listed = "[" + ", ".join("'" + path.replace("'", "''") + "'" for path in paths) + "]"
        db.execute(f"CREATE TEMP VIEW {name} AS {_reading(kind, listed, paths)}")
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


def _kinds(part: str, files: list[str]) -> dict[str, list[str]]:
    """The files by what they are."""
    found: dict[str, list[str]] = {}
    for path in files:
        bare = path.removesuffix(".gz")
        kind = next((kind for kind in ("parquet", "cdxj", "cdx", "jsonl", "csv") if bare.endswith(f".{kind}")), None)
        if kind is None or (kind == "parquet" and bare != path):
            raise InputError(f"{part}: {path}: an index is .parquet, .cdxj, .cdx (with .gz too), a manifest .parquet, .jsonl or .csv")
        if kind == "cdx":
            kind = "cdxj" if _first_line(path).rstrip().endswith("}") else "cdx"
        found.setdefault(kind, []).append(path)
    return found


def _first_line(path: str) -> str:
    with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
        return file.readline(1 << 20).decode("utf-8", "replace")


def _reading(kind: str, listed: str, paths: list[str]) -> str:
    """The SELECT that reads files of a kind."""
    if kind == "parquet":
        return f"SELECT * FROM read_parquet({listed}, hive_partitioning = true, union_by_name = true)"
    if kind == "jsonl":
        return f"SELECT * FROM read_json({listed}, format = 'newline_delimited', union_by_name = true)"
    if kind == "csv":
        return f"SELECT * FROM read_csv({listed}, union_by_name = true)"
    whole = "columns = {'line': 'VARCHAR'}, delim = '\\x01', quote = '', escape = '', header = false, auto_detect = false"
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
        letters = _first_line(paths[0]).split()[1:] or "N b a m s k r M S V g".split()  # noqa: SIM905
        said = ", ".join(f"split_part(line, ' ', {place}) AS {LETTERS[letter]}" for place, letter in enumerate(letters, 1) if letter in LETTERS)
        fields = f"SELECT {said} FROM ({lines}) WHERE line NOT LIKE ' CDX %'"
        mime = "mime"
    numbers = "TRY_CAST(status AS INTEGER) AS status, TRY_CAST(\"offset\" AS BIGINT) AS record_offset, TRY_CAST(length AS BIGINT) AS length"
    return f"SELECT * EXCLUDE (stamp, mime, status, \"offset\", length), {mime}, {numbers}, {stamp} FROM ({fields})"
