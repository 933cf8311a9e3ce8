"""Addresses that stand on lists, or are made of words that do: what RefinedWeb and FineWeb drop before they read a page.

The lists of datatrove's URLFilter (adult pages; Penedo et al. 2023, appendix G.1, and the domains of the Université de Toulouse) lie inside its wheel.
"""

import io
import tarfile
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.errors import InputError
from catalog.schema import hash_bytes, hash_column
from catalog.split import Hashes
from catalog.stage import Files, declares
from curate.listed.files import At, content, located, named, state, told
from curate.listed.hosts import host, registered

BUNDLE = "datatrove:assets/url_filterblacklistsv0_3_0.tar.gz"
WORDS = {name: f"datatrove:assets/{name}.txt" for name in ("banned_words", "banned_subwords", "soft_banned_words")}
BUNDLED = "datatrove"
"""The name under which the lists of the wheel appear."""
WHO = "urls.listed"
Flags = npt.NDArray[np.bool_]
ADDS = {
    "domain_list": pa.string(), "host_list": pa.string(), "url_list": pa.string(), "page_list": pa.string(),
    "hard_word": pa.string(), "soft_words": pa.int64(), "substring": pa.string(),
}  # fmt: skip


@dataclass(frozen=True)
class Listed:
    """A list: the hashes of its hosts and of its pages, sorted. 64 bits of 4.5 million names: a name that is not there is taken for one once in 4e12."""

    name: str
    hosts: Hashes
    pages: Hashes


@declares(reads=("uri",), adds=ADDS, version=1, packages=("datatrove", "tld"))
def listed(batch: pl.DataFrame, *, lists: Files | None = None, bundled: bool = True) -> pl.DataFrame:
    """Return the family `urls`: on which lists the address of a document stands, and which of their words are in it, one row a document.

    domain_list   names of the lists that have the host's registered domain (`example.co.uk` of `a.b.example.co.uk`); null for none
    host_list     names of those that have the host itself; of datatrove's only where it has a registered domain, as there: no IP address
    url_list      names of those that have the address as it is written; page_list: as it is without http://, https:// and a slash at its end
    hard_word     the first banned word that stands between signs in the address; null for none
    soft_words    how many different words of the soft list stand there; two drop a page of RefinedWeb's
    substring     the first banned run of letters that is in the address once its signs are taken out; null for none
    All null where a document has no address, but `soft_words`, which is 0 then.

    lists     more lists by name: files, or PACKAGE:PATH inside an installed package, one host or address a line
    bundled   whether datatrove's are asked: 4.5 million adult hosts, 19,586 pages, 416 words. A worker reads them once, in some three seconds
    """
    known = [*(([_bundled()]) if bundled else []), *(_read(told(path, WHO), name) for name, path in named(lists, WHO).items())]
    uris = batch["uri"].cast(pl.String)
    hosts = pl.DataFrame({"uri": uris}).select(host=host(pl.col("uri")))["host"]
    data, starts, ends, begins = registered(hosts)
    some, named_hosts = begins < ends, hash_bytes(data, starts, ends)
    frame = pl.DataFrame({
        "uri": uris,
        "domain_list": _on({one.name: some & _among(hash_bytes(data, begins, ends), one.hosts) for one in known}, len(uris)),
        "host_list": _on({one.name: (some if one.name == BUNDLED else starts < ends) & _among(named_hosts, one.hosts) for one in known}, len(uris)),
        "url_list": _on({one.name: _among(hash_column(uris), one.pages) for one in known}, len(uris)),
        "page_list": _on({one.name: _among(hash_column(bare(uris)), one.pages) for one in known}, len(uris)),
    })  # fmt: skip
    hard, soft, runs = _words() if bundled else (pl.Series([], dtype=pl.String),) * 3
    pieces = pl.col("uri").str.extract_all("[A-Za-z0-9]+")
    squeezed = pl.col("uri").str.replace_all("[^A-Za-z0-9]+", "").str.to_lowercase()
    return frame.with_columns(
        hard_word=pieces.list.filter(pl.element().is_in(hard.implode())).list.first(),
        soft_words=pieces.list.filter(pl.element().is_in(soft.implode())).list.n_unique().cast(pl.Int64).fill_null(0),
        substring=squeezed.str.extract_many(runs.to_list()).list.first() if len(runs) else pl.lit(None, pl.String),
    ).select(list(ADDS))


def bare(uris: pl.Series) -> pl.Series:
    """Return addresses without their scheme and a slash at the end, as lists of pages have them."""
    return uris.str.replace("^https?://", "").str.strip_chars_end("/")


def _on(found: dict[str, Flags], rows: int) -> pl.Series:
    """Return the names of the lists that have each row, between spaces, null for none."""
    frame = pl.DataFrame(found or {"": np.zeros(rows, np.bool_)})
    told = frame.select(pl.concat_str([pl.when(pl.col(name)).then(pl.lit(name)) for name in frame.columns], separator=" ", ignore_nulls=True))
    return told.to_series().replace("", None)


def _among(hashes: Hashes, known: Hashes) -> Flags:
    if not known.size:
        return np.zeros(hashes.size, np.bool_)
    found: Flags = known[np.minimum(np.searchsorted(known, hashes), known.size - 1)] == hashes
    return found


def _bundled() -> Listed:
    return _unpacked(state(located(BUNDLE, WHO)))


@lru_cache(maxsize=1)
def _unpacked(at: tuple[str, int, int]) -> Listed:
    """Read the two lists of datatrove's archive, in memory."""
    with tarfile.open(at[0], "r:gz") as archive:
        hosts, pages = (_lines(file.read()) for name in ("domains", "urls") if (file := archive.extractfile(name)) is not None)
    return Listed(BUNDLED, np.sort(hash_column(hosts)), np.sort(hash_column(pages)))


@lru_cache(maxsize=16)
def _read(at: At, name: str) -> Listed:
    """Read a list of one's own: an entry with a slash inside is a page, any other a host."""
    if " " in name:
        raise InputError(f"{WHO}: lists: {name!r}; a name has no spaces")
    entries = pl.DataFrame({"entry": _lines(content(at, WHO)).str.strip_chars()}).filter(~pl.col("entry").str.starts_with("#"))
    split = entries.with_columns(bare=bare(entries["entry"])).with_columns(page=pl.col("bare").str.contains("/", literal=True))
    hosts = split.filter(~pl.col("page") & (pl.col("bare") != "")).select(host(pl.col("bare"))).to_series()
    pages = split.filter("page").select(pl.concat([pl.col("entry"), pl.col("bare")])).to_series()
    return Listed(name, np.sort(hash_column(hosts)), np.sort(hash_column(pages)))


def _lines(content: bytes) -> pl.Series:
    """Return the lines of a file."""
    if not content.strip():
        return pl.Series("entry", [], dtype=pl.String)
    return pl.read_csv(
        io.BytesIO(content), has_header=False, separator="\x01", quote_char=None, encoding="utf8-lossy", schema={"entry": pl.String}, truncate_ragged_lines=True
    )["entry"].drop_nulls()


@lru_cache(maxsize=1)
def _words() -> tuple[pl.Series, pl.Series, pl.Series]:
    """Return the banned words, the soft ones and the banned runs of letters: small letters and digits alone, as datatrove reads them."""
    found = []
    for name in ("banned_words", "soft_banned_words", "banned_subwords"):
        lines = pl.Series(located(WORDS[name], WHO).read_text(encoding="utf-8").splitlines())
        lines = lines.filter(~lines.str.starts_with("#")).str.replace_all("[^A-Za-z0-9]+", "").str.to_lowercase()
        found.append(lines.filter(lines != "").unique().sort())
    return found[0], found[1], found[2]
