"""Throw spoilt input at every parser until it crashes, hangs, or eats memory, and keep what does it.

    .venv/bin/python tests/fuzzing.py [--seconds 600] [--seed 1] [PARSER ...]        (make fuzz: ten minutes each)

Each input is a sound one, or one kept, that was cut, spliced, repeated, or had bytes and numbers changed. It is read by the parser in a process of
its own under a limit of time and memory: a document, a refusal, or HeadraceError are answers, anything else is a finding. A finding
is read a second time (a busy machine makes slow what is not), made as small as it gets in a minute, and kept in tests/seeds/PARSER,
which `make test` reads again (test_ingest_fuzz.py).
"""

import argparse
import gzip
import hashlib
import io
import os
import random
import resource
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import brotli

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path[:0] = [str(HERE.parent), str(HERE)]

from catalog.errors import HeadraceError  # noqa: E402 (run as a script, it must find the house first)
from catalog.stage import load  # noqa: E402
from catalog.worker import Failure, Worker  # noqa: E402

SEEDS = HERE / "seeds"
SECONDS, MEMORY = 10.0, 3 << 30
"""Of processor time for one input, and bytes of address space: numba and its compiler take one of the three."""
MOST = 1 << 16
"""Bytes of a sound input that is taken up: short ones are tried more often."""
NUMBERS = (b"0", b"-1", b"1", b"255", b"65536", b"2147483648", b"4294967295", b"99999999999999999999", b"1e309", b"0x7fffffff")

PARSERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "warc": (".warc", "ingest.warc:read", (".warc", ".wet", ".wat", ".html")),
    "warc_gz": (".warc.gz", "ingest.warc:read", (".warc.gz",)),
    "arc": (".arc", "ingest.warc:read", (".arc",)),
    "arc_gz": (".arc.gz", "ingest.warc:read", (".arc.gz",)),
    "cdx": (".cdx", "fuzzing:index", (".cdx", ".cdxj")),
    "manifest": (".jsonl", "fuzzing:index", (".manifest.jsonl", "rows.jsonl")),
    "manifest_csv": (".csv", "fuzzing:index", (".csv",)),
    "codings": (".coded", "fuzzing:uncoded", (".coded",)),
    "html": (".html", "fuzzing:html", (".html",)),
    "html_tree": (".html", "fuzzing:html_tree", (".html",)),
    "language": (".txt", "fuzzing:language", ("book.txt", ".html", ".txt")),
    "links": (".html", "fuzzing:linked", (".html",)),
    "robots": (".txt", "fuzzing:robots", (".robots",)),
    "charset": (".txt", "fuzzing:decoded", (".html", ".txt")),
    "epub": (".epub", "ingest.books:read", (".epub",)),
    "books": (".txt", "ingest.books:read", ("book.txt",)),
    "books_html": (".html", "ingest.books:read", (".html",)),
    "books_pdf": (".pdf", "ingest.books:read", (".pdf",)),
    "papers": (".xml", "ingest.papers:read", ("paper.xml", ".nxml", ".tei.xml")),
    "papers_tex": (".tex", "ingest.papers:read", (".tex",)),
    "papers_bundle": (".tar.gz", "ingest.papers:read", (".tex.tar.gz",)),
    "papers_pdf": (".pdf", "ingest.papers:read", (".pdf",)),
    "papers_text": (".txt", "ingest.papers:read", (".txt", ".tex")),
    "wiki": (".xml", "ingest.reference:read", (".wiki.xml",)),
    "questions": (".xml", "ingest.reference:read", (".Posts.xml",)),
    "cwe": (".xml", "ingest.reference:read", ("cwe.xml",)),
    "rfc": (".txt", "ingest.reference:read", (".rfc.txt",)),
    "manual": (".1", "ingest.reference:read", (".man.1", ".mdoc.1")),
    "dictionary": (".index", "fuzzing:dictionary", (".dictd",)),
    "wordnet": (".noun", "fuzzing:wordnet", ("data.noun",)),
    "code": (".zip", "ingest.code:read", (".zip", ".whl", ".epub")),
    "code_tar": (".tar.gz", "ingest.code:read", (".tar.gz",)),
    "tables": (".jsonl", "ingest.tables:read", (".jsonl",)),
    "tables_gz": (".jsonl.gz", "ingest.tables:read", (".jsonl.gz",)),
    "tables_csv": (".csv", "ingest.tables:read", (".csv",)),
    "parquet": (".parquet", "ingest.tables:read", (".parquet",)),
    "sitemap": (".xml", "fuzzing:sitemap", (".xml", ".html")),
}
"""By name: the ending that its input has, what reads it, the endings of sound inputs."""

CONTAINER = b'<container><rootfiles><rootfile full-path="content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
OPF = (
    b'<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
    b'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Weir</dc:title></metadata>'
    b'<manifest><item id="a" href="one.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>'
)


def html(path: str) -> Iterator[Any]:
    from ingest.pages import fast

    yield fast.extract(Path(path).read_bytes(), url="http://a.example/")


@cache
def extractor() -> Worker:
    return Worker("ingest.html:extract", seconds=SECONDS / 2).__enter__()


def html_tree(path: str) -> Iterator[Any]:
    """In a process of its own, as it is read: libraries behind it may take long or much, and that is an answer."""
    ((_, answer),) = extractor().map([("", Path(path).read_bytes(), {"url": "http://a.example/"})])
    if isinstance(answer, Failure) and answer.reason not in ("timeout", "memory"):
        raise AssertionError(f"{answer.reason}: {answer.error}")
    yield answer


def index(path: str) -> Iterator[Any]:
    from catalog.lake import connect, engine_error
    from headrace.cdx import view

    with connect() as db:
        try:
            view(db, "ingest.web", [path])
            yield from db.execute("SELECT path, record_offset, length, url, dump, host, domain, tld FROM entries").fetchall()
        except engine_error():
            yield None


def uncoded(path: str) -> Iterator[Any]:
    from ingest.codings import undone

    for name in ("gzip", "deflate", "br", "zstd", "chunked"):
        try:
            yield undone(Path(path).read_bytes(), name, name)
        except ValueError:
            yield None


def language(path: str) -> Iterator[Any]:
    import polars as pl

    from curate.language import identify

    yield from identify(pl.DataFrame({"text": [Path(path).read_bytes().decode("utf-8", "replace")]})).to_dicts()


def dictionary(path: str) -> Iterator[Any]:
    """The index and what it leads into, with an empty line between them."""
    from ingest.reference import read

    places, _, texts = Path(path).read_bytes().partition(b"\n\n")
    Path(path).write_bytes(places + b"\n")
    Path(path).with_suffix(".dict").write_bytes(texts)
    yield from read(path)


def wordnet(path: str) -> Iterator[Any]:
    from ingest.reference import read

    yield from read(str(Path(path).rename(Path(path).with_name("data.noun"))))


def linked(path: str) -> Iterator[Any]:
    from ingest.pages.links import links

    yield links(Path(path).read_bytes(), "http://a.example/b/")


def robots(path: str) -> Iterator[Any]:
    from ingest.crawling.robots import allowed, delay, opted_out, read, sitemaps

    said = read(Path(path).read_bytes())
    yield allowed(said, "http://a.example/b?c", "headrace"), delay(said, "headrace", 1.0), sitemaps(said), opted_out(said, "http://a.example/b")


def sitemap(path: str) -> Iterator[Any]:
    from ingest.crawling.visit import listed

    yield listed(Path(path).read_bytes(), "http://a.example/s.xml")


def decoded(path: str) -> Iterator[Any]:
    from ingest.charset import decode

    try:
        yield decode(Path(path).read_bytes())
    except UnicodeError:
        yield None


def parse(payload: bytes, *, parser: str) -> dict[str, Any]:
    """Read one input by a parser; say how many rows came and how much memory that took more than before, in MB. Raises what the parser raises."""
    ending, reader, _ = PARSERS[parser]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"input{ending}"
        path.write_bytes(payload)
        rows = 0
        try:
            for _ in load(reader)(str(path)):
                rows += 1
        except HeadraceError:
            pass
    return {"rows": rows, "mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def sound(parser: str) -> list[bytes]:
    """Inputs to start from: those kept, the golden ones, the demo's and the labelled data's that are small."""
    endings = PARSERS[parser][2]
    places = [HERE / "golden", HERE.parent / "examples" / "data", *([Path(os.environ["HEADRACE_DATA"])] if os.environ.get("HEADRACE_DATA") else [])]
    found = [path.read_bytes() for path in kept(parser)]
    for place in places:
        paths = sorted(path for path in place.rglob("*") if path.name.endswith(endings) and path.is_file())
        found += [path.read_bytes()[:MOST] for path in paths[:: max(1, len(paths) // 40)][:40]]
    found += packed(endings)
    return found or [b"<?xml version='1.0'?><a><b c='1'>text</b></a>"]


def packed(endings: tuple[str, ...]) -> list[bytes]:
    """Archives, indexes and a PDF, made of the golden inputs."""
    from texts_making import column, pdf

    golden = {path.name: path.read_bytes() for path in sorted((HERE / "golden" / "fuzz").iterdir())}
    tree = {"p-1.0/a.py": b"import b\nprint(b.x)\n", "p-1.0/b.py": b"x = 1\n", "p-1.0/PKG-INFO": b"Name: p\nVersion: 1.0\nLicense: MIT\n\n"}
    made = []
    if ".epub" in endings or ".zip" in endings:
        book = {"META-INF/container.xml": CONTAINER, "content.opf": OPF, "one.xhtml": b"<html><body>" + golden["weir.html"] + b"</body></html>"}
        made += [zipped(tree), zipped({"mimetype": b"application/epub+zip", **book})]
    if ".tar.gz" in endings or ".tex.tar.gz" in endings:
        made += [tarred(tree), tarred({"main.tex": golden["flow.tex"], "part.tex": b"A part."})]
    if ".coded" in endings:
        page = golden["weir.html"]
        made += [gzip.compress(page), zlib.compress(page), zlib.compress(page)[2:-4], brotli.compress(page), b"%x\r\n%s\r\n0\r\n\r\n" % (len(page), page)]
    if ".arc" in endings or ".arc.gz" in endings:
        note, page = b"1 0 Old\nURL IP-address Archive-date Content-type Archive-length\n", b"HTTP/1.0 200 OK\r\n\r\n" + golden["weir.html"]
        old = [b"filedesc://old.arc 127.0.0.1 20010203040506 text/plain %d\n%s\n" % (len(note), note)]
        old += [b"http://a.example/%d 10.0.0.1 20010203040506 text/html %d\n%s\n" % (n, len(page), page) for n in range(3)]
        made.append(b"".join(map(gzip.compress, old) if ".arc.gz" in endings else old))
    if ".cdx" in endings:
        line = 'k)/ 20261003120000 {"url": "http://a.example/", "status": "200", "length": "900", "offset": "41", "filename": "a.warc.gz"}\n'
        made += [line.encode() * 9, b" CDX N b a m s k r M S V g\n" + b"k)/ 20261003120000 http://a.example/ text/html 200 X - - 900 41 a.warc.gz\n" * 9]
    if ".manifest.jsonl" in endings:
        made.append(b'{"path": "a.warc.gz", "offset": 41, "length": 900, "dump": "D"}\n' * 9)
    if ".dictd" in endings:
        made.append(b"sluice\tA\tP\nweir\tP\tM\n\n" + b"sluice: a gate\nweir: a wall\n")
    if ".pdf" in endings:
        lines = [f"The keeper of lock {n} wrote the level of the wa-" if n % 3 == 0 else f"ter into the book, page {n}." for n in range(30)]
        made.append(pdf([column(50, 700, lines) + column(320, 700, lines), column(50, 700, lines)]))
    return made


def zipped(files: dict[str, bytes]) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as out:
        for name, content in files.items():
            out.writestr(name, content)
    return into.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w:gz") as out:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return into.getvalue()


def kept(parser: str) -> list[Path]:
    """What made trouble once."""
    return sorted((SEEDS / parser).glob("*")) if (SEEDS / parser).is_dir() else []


def spoilt(sounds: list[bytes], dice: random.Random) -> bytes:
    """One sound input with one to six things done to it."""
    data = bytearray(dice.choice(sounds))
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(data) + 1)
        size = min(len(data) - at, int(dice.paretovariate(0.6)))
        match dice.randrange(8):
            case 0:
                data[at : at + size] = b""
            case 1:
                data[at:at] = dice.randbytes(min(size, 1000))
            case 2 if data:
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            case 3:
                other = dice.choice(sounds)
                start = dice.randrange(len(other) + 1)
                data[at : at + size] = other[start : start + int(dice.paretovariate(0.5))]
            case 4:
                data[at:at] = bytes(data[at : at + size]) * min(dice.choice((2, 10, 1000, 50_000)), 200_000 // (size + 1) + 1)
            case 5:
                digits = [i for i in range(at, min(at + 400, len(data))) if 48 <= data[i] <= 57]
                if digits:
                    data[digits[0] : digits[-1] + 1 if digits[-1] - digits[0] < 12 else digits[0] + 1] = dice.choice(NUMBERS)
            case 6:
                del data[at:]
            case _:
                data[at : at + size] = bytes(size)
    return bytes(data)


def smaller(worker: Worker, parser: str, data: bytes, reason: str, seconds: float = 60.0) -> bytes:
    """Halve a finding while it stays one."""
    until, step = time.monotonic() + seconds, len(data) // 2
    while step and time.monotonic() < until:
        at = 0
        while at < len(data) and time.monotonic() < until:
            less = data[:at] + data[at + step :]
            if failed(worker, parser, less) == reason:
                data = less
            else:
                at += step
        step //= 2
    return data


def failed(worker: Worker, parser: str, data: bytes) -> str | None:
    """Why an input is a finding, None where it is none."""
    (_, answer), *_ = worker.map([("", data, {"parser": parser})])
    if isinstance(answer, Failure):
        return f"{answer.reason}: {answer.error}".split("\n")[0][:200]
    return None


def fuzz(parser: str, seconds: float, seed: int) -> int:
    """Try a parser for a while. Returns the number of new findings."""
    dice, sounds, tried, found = random.Random(f"{parser} {seed}"), sound(parser), 0, set[str]()
    with Worker("fuzzing:parse", seconds=60 * SECONDS, memory=MEMORY) as patient:  # what is compiled at its first call is, before time is taken
        for _ in patient.map((data, data, {"parser": parser}) for data in sounds[:20]):
            pass
    until = time.monotonic() + seconds
    with Worker("fuzzing:parse", seconds=SECONDS, memory=MEMORY) as worker:
        while time.monotonic() < until:
            batch = [spoilt(sounds, dice) for _ in range(64)]
            for data, answer in worker.map((data, data, {"parser": parser}) for data in batch):
                tried += 1
                if not isinstance(answer, Failure):
                    continue
                reason = f"{answer.reason}: {answer.error}".split("\n")[0][:200]
                kind = reason.partition("(")[0][:60]
                if kind in found:
                    continue
                if failed(worker, parser, data) is None:
                    print(f"{parser}: {reason}, once and not again: not counted", flush=True)
                    continue
                found.add(kind)
                small = smaller(worker, parser, data, reason)
                (SEEDS / parser).mkdir(parents=True, exist_ok=True)
                path = SEEDS / parser / hashlib.blake2b(small, digest_size=8).hexdigest()
                path.write_bytes(small)
                print(f"{parser}: {reason}\n  {len(small):,} bytes in {path}", flush=True)
    print(f"{parser}: {tried:,} inputs in {seconds:.0f} s, {len(found)} findings", flush=True)
    return len(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parsers", nargs="*", choices=[*PARSERS, []], metavar="PARSER", help=", ".join(PARSERS))
    parser.add_argument("--seconds", type=float, default=600.0, help="for each parser")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the dice")
    given = parser.parse_args()
    return min(1, sum(fuzz(name, given.seconds, given.seed) for name in given.parsers or PARSERS))


if __name__ == "__main__":
    sys.exit(main())
