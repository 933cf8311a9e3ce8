"""What once broke a parser is read again, and bombs of a gigabyte stay small. `make fuzz` looks for more."""

import gzip
import io
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzzing import MEMORY, PARSERS, SECONDS, failed, kept, parse, smaller, sound, spoilt

from catalog.worker import Failure, Worker

GIGABYTE = 1 << 30
MOST_MB = 200.0


@pytest.mark.parametrize("parser", PARSERS)
def test_what_broke_a_parser_is_read(parser: str) -> None:
    with Worker("fuzzing:parse", seconds=SECONDS, memory=MEMORY) as worker:
        for path in kept(parser):
            assert failed(worker, parser, path.read_bytes()) is None, path


@pytest.mark.parametrize("parser", PARSERS)
def test_a_little_of_what_fuzzing_does(parser: str) -> None:
    dice, sounds = random.Random(parser), sound(parser)
    with Worker("fuzzing:parse", seconds=SECONDS, memory=MEMORY) as worker:
        inputs = [spoilt(sounds, dice) for _ in range(40)]
        for data, answer in worker.map((data, data, {"parser": parser}) for data in inputs):
            assert not isinstance(answer, Failure), (answer, data[:200])


def test_fuzzing_finds_a_fault_and_makes_it_small() -> None:
    with Worker("stage_bodies:brittle", seconds=5.0) as worker:
        assert failed(worker, "any", b"fine") is None
        why = failed(worker, "any", b"a" * 500 + b"<crash>" + b"b" * 900)
        assert why is not None
        assert smaller(worker, "any", b"a" * 500 + b"<crash>" + b"b" * 900, why) == b"<crash>"


def pack(opener: Callable[[io.BytesIO], io.IOBase], head: bytes = b"", unit: bytes = b" ") -> bytes:
    """A gigabyte of the same, packed."""
    packed = io.BytesIO()
    with opener(packed) as file:  # type: ignore[attr-defined]
        file.write(head)
        for _ in range(64):
            file.write(unit * ((16 << 20) // len(unit)))
    return packed.getvalue()


def zipped(member: str, head: bytes = b"") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("mimetype", "application/epub+zip")
        with out.open(member, "w", force_zip64=True) as file:
            file.write(head)
            for _ in range(64):
                file.write(b" " * (16 << 20))
    return packed.getvalue()


def tarred(_: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as out:
        info = tarfile.TarInfo("bomb/a.py")
        info.size = GIGABYTE
        with open("/dev/zero", "rb") as zeros:
            out.addfile(info, zeros)
    return packed.getvalue()


def gz(packed: io.BytesIO) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0)


BOMBS: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "a WARC member": ("warc_gz", lambda _: pack(gz, b"WARC/1.1\r\nWARC-Type: response\r\nContent-Length: 1073741824\r\n\r\n")),
    "what stands between records": ("warc_gz", lambda _: pack(gz, b"WARC/1.1\r\nContent-Length: 0\r\n\r\n\r\n\r\n", b"\n")),
    "a table": ("tables_gz", lambda _: pack(gz, b'{"text": "')),
    "an EPUB": ("epub", lambda _: zipped("META-INF/container.xml", b"<container>")),
    "a zip of code": ("code", lambda _: zipped("a/b.py", b"x = 1\n")),
    "a tar of code": ("code_tar", tarred),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_a_gigabyte_stays_small(name: str, tmp_path: Path) -> None:
    parser, made = BOMBS[name]
    data = made(tmp_path)
    assert len(data) < 12 << 20
    with Worker("fuzzing:parse", seconds=60.0, memory=MEMORY) as worker:
        (_, answer), *_ = worker.map([("", data, {"parser": parser})])
    assert not isinstance(answer, Failure), answer
    assert answer["mb"] < MOST_MB, answer


def test_parse_says_how_many_rows_came() -> None:
    assert parse(b'{"text": "one"}\n{"text": "two"}\n', parser="tables")["rows"] == 2
