"""Packages by name and version, from an index on loopback that answers in JSON or HTML; what it does not have, or has wrong, is one line."""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catalog.errors import InputError, SetupError
from headrace.cli import app
from headrace.packages import fetch_packages
from headrace.registry import Places
from ingest.code import read


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in {"PKG-INFO": "Name: Weir-Tools\nVersion: 1.2\nLicense: MIT\n", "weir.py": "x = 1\n",
            "setup.py": "raise SystemExit('was run')\n"}.items():
            entry = tarfile.TarInfo(f"weir_tools-1.2/{name}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


FILES = {"weir_tools-1.2.tar.gz": archive(), "weir_tools-1.2-py3-none-any.whl": b"wheel", "weir_tools-1.1-py3-none-any.whl": b"older",
    "weir-tools-extra-1.2.tar.gz": b"another", "weir_tools-1.0.tar.gz": b"x"}
WRONG = ("weir_tools-1.1-py3-none-any.whl",)


class Index(BaseHTTPRequestHandler):
    """`/json/` and `/html/` list the files, `/files/` has them."""

    def do_GET(self) -> None:
        kind, name = self.path.strip("/").split("/")[0], self.path.strip("/").rpartition("/")[2]
        hashes = {file: hashlib.sha256(b"other" if file in WRONG else data).hexdigest() for file, data in FILES.items() if file != "weir_tools-1.0.tar.gz"}
        if kind == "files" and name in FILES:
            body, mime = FILES[name], "application/octet-stream"
        elif kind in ("json", "html") and name == "weir-tools":
            if kind == "json":
                body = json.dumps({"files": [{"filename": file, "url": f"/files/{file}",
                    "hashes": {"sha256": hashes[file]} if file in hashes else {}} for file in FILES]}).encode()
            else:
                body = "".join(f"<a href='/files/{file}{'#sha256=' + hashes[file] if file in hashes else ''}'>{file}</a>" for file in FILES).encode()
            mime = "application/vnd.pypi.simple.v1+json" if kind == "json" else "text/html"
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", mime)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def index() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("kind", ["json", "html"])
def test_a_source_archive_is_fetched_once_and_read(tmp_path: Path, index: str, kind: str) -> None:
    at = Places((f"{index}/{kind}",))
    (path,) = fetch_packages(["Weir.Tools==1.2"], tmp_path / "packages", at)
    assert path.name == "weir_tools-1.2.tar.gz" and path.read_bytes() == FILES[path.name]
    assert fetch_packages(["weir_tools==1.2"], tmp_path / "packages", Places((f"{index}/{kind}",))) == [path]
    rows = [row for row in read(str(path)) if isinstance(row, dict)]
    assert {(row["uri"], row["license"]) for row in rows} == {("pkg:pypi/weir-tools@1.2#weir.py", "MIT"), ("pkg:pypi/weir-tools@1.2#setup.py", "MIT")}


@pytest.mark.parametrize(("asked", "said"), [
    ("weir-tools==1.1", r"sha256 is \w{64}, pinned is"), ("weir-tools==1.3", r"has no version 1\.3; did you mean '1\.2'\?|has no version 1\.3"),
    ("weir-tools==1.0", "states no sha256"),
    ("wier-tools==1.2", "no such package at 127.0.0.1; is it spelt so"),
])  # fmt: skip
def test_what_the_index_has_not_is_one_line(tmp_path: Path, index: str, asked: str, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        fetch_packages([asked], tmp_path / "packages", Places((f"{index}/json",)))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_pip_s_find_links_count_too(tmp_path: Path, index: str) -> None:
    """Without any index: how a machine without a network is set up. Of several places the first that has the version is taken."""
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "Weir_Tools-1.2.tar.gz").write_bytes(archive())
    (tmp_path / "wheels" / "weir_toolsmith-1.2.tar.gz").write_bytes(b"another")
    (path,) = fetch_packages(["weir-tools==1.2"], tmp_path / "p", Places((), (str(tmp_path / "wheels"),)))
    assert path.name == "Weir_Tools-1.2.tar.gz" and path.read_bytes() == archive()
    (tmp_path / "wheels" / "Weir_Tools-1.2.tar.gz").rename(tmp_path / "wheels" / "weir_tools-0.9.tar.gz")
    (path,) = fetch_packages(["weir-tools==1.2"], tmp_path / "p", Places((f"{index}/json",), (str(tmp_path / "wheels"), str(tmp_path / "none"))))
    assert path.name == "weir_tools-1.2.tar.gz" and path.read_bytes() == FILES[path.name]
    with pytest.raises(SetupError, match="has no version 7"):
        fetch_packages(["weir-tools==7"], tmp_path / "p", Places((), (str(tmp_path / "wheels"),)))


@pytest.mark.parametrize("body", ['{"files": ["a"]}', '{"files": 3}', '{"files": [{"filename": "weir_tools-1.2.tar.gz"}]}', '{"meta', "{}", "\0"])
def test_an_index_that_is_none_is_one_line(tmp_path: Path, body: str) -> None:
    (tmp_path / "weir-tools").mkdir()
    (tmp_path / "weir-tools" / "index.html").write_text(body)
    with pytest.raises(SetupError, match="fetch: weir-tools: "):
        fetch_packages(["weir-tools==1.2"], tmp_path / "p", Places((tmp_path.as_uri(),)))


@pytest.mark.parametrize("asked", ["requests", "requests>=2", "../x==1", "a==1/2", ""])
def test_a_version_must_be_named(tmp_path: Path, asked: str) -> None:
    with pytest.raises(InputError, match="is not name==version"):
        fetch_packages([asked], tmp_path, Places(()))


def test_the_command(tmp_path: Path, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.packages.places", lambda: Places((f"{index}/html",)))
    said = CliRunner().invoke(app, ["fetch", "weir-tools==1.2", "--to", str(tmp_path / "p")])
    assert (said.exit_code, said.output.strip()) == (0, str(tmp_path / "p" / "weir_tools-1.2.tar.gz"))
    assert SetupError.exit_code == 2
