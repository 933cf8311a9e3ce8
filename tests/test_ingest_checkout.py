"""Git checkouts: what git tracks is read, at its commit and address; what a hostile repository asks for is not done."""

import os
import subprocess
from pathlib import Path

import pytest

import ingest.trees.checkout
from catalog.stage import Refused
from ingest.code import read
from ingest.trees.checkout import purl


def git(folder: Path, *words: str) -> str:
    settings = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"], "HOME": str(folder)}
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *words], cwd=folder, env=settings, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "weir"
    (folder / "src").mkdir(parents=True)
    for name, text in {"src/gate.py": "x = 1\n", "LICENSE": "SPDX-License-Identifier: MIT\n", "main.py": "import src.gate\n",
        ".gitignore": "*.log.py\n"}.items():
        (folder / name).write_text(text)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "remote", "add", "origin", "https://user:secret@github.com/Canal/Weir.git")
    (folder / "new.py").write_text("y = 1\n")
    (folder / "made.log.py").write_text("y = 1\n")
    return folder


def test_a_checkout_is_what_git_tracks(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "src" / "link.py").symlink_to("/etc/passwd")
    git(repository, "add", "src/link.py")
    rows = list(read(str(repository)))
    documents = {row["member"]: row for row in rows if isinstance(row, dict)}
    assert sorted(documents) == ["main.py", "src/gate.py"]
    assert documents["main.py"]["uri"] == f"pkg:github/canal/weir@{commit}#main.py"
    assert documents["src/gate.py"]["facts"] == {"package": "pkg:github/canal/weir", "version": commit, "nature": None, "terms": "permissive", "position": 0}
    assert {row.reason for row in rows if isinstance(row, Refused)} == {"not_code", "not_a_file"}


def test_nothing_that_a_repository_names_is_run(repository: Path, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    script = tmp_path / "trap.sh"
    script.write_text(f"#!/bin/sh\ntouch {trap}\n")
    script.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "diff.external", "core.askPass", "filter.x.clean", "filter.x.smudge",
        "filter.x.process", "credential.helper"):
        git(repository, "config", name, str(script))
    git(repository, "config", "alias.ls-files", f"!{script}")
    git(repository, "config", "core.hooksPath", str(tmp_path))
    (repository / ".gitattributes").write_text("* filter=x\n")
    for hook in ("post-checkout", "post-index-change", "pre-auto-gc"):
        (repository / ".git" / "hooks").mkdir(exist_ok=True)
        (repository / ".git" / "hooks" / hook).write_text(script.read_text())
        (repository / ".git" / "hooks" / hook).chmod(0o755)
    trap.unlink(missing_ok=True)
    (repository / "src" / "gate.py").touch()
    assert sum(isinstance(row, dict) for row in read(str(repository))) == 2
    assert not trap.exists()


def test_what_a_partial_clone_lacks_is_not_fetched(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing object would be asked for by a command of the repository's own, where git is older than GIT_NO_LAZY_FETCH."""
    trap = tmp_path / "ran"
    git(repository, "remote", "set-url", "origin", f"ext::sh -c touch% {trap}")
    for name, said in (("core.repositoryformatversion", "1"), ("extensions.partialClone", "origin"), ("remote.origin.promisor", "true"),
        ("protocol.ext.allow", "always"), ("protocol.allow", "always")):
        git(repository, "config", name, said)
    branch = git(repository, "symbolic-ref", "HEAD")
    (repository / ".git" / branch).write_text("1" * 40 + "\n")
    trap.unlink(missing_ok=True)
    monkeypatch.delitem(ingest.trees.checkout.ENVIRONMENT, "GIT_NO_LAZY_FETCH")
    assert sum(isinstance(row, dict) for row in read(str(repository))) == 2
    ingest.trees.checkout._git(str(repository), "cat-file", "-e", "1" * 40)
    assert not trap.exists()


def test_where_git_cannot_say_all_but_its_own_is_read(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / ".git" / "index").write_bytes(b"broken")
    rows = list(read(str(repository)))
    assert sorted(row["member"] for row in rows if isinstance(row, dict)) == ["made.log.py", "main.py", "new.py", "src/gate.py"]
    (told,) = [row for row in rows if isinstance(row, Refused) and row.reason == "git_failed"]
    assert told.error.startswith("read without git: ")
    monkeypatch.setattr("ingest.trees.checkout.ENVIRONMENT", {"PATH": "/nonexistent"})
    monkeypatch.setenv("PATH", "/nonexistent")
    assert any(isinstance(row, Refused) and "no git on PATH" in row.error for row in read(str(repository)))


def test_histories_without_files_say_what_to_do(repository: Path, tmp_path: Path) -> None:
    git(repository, "clone", "-q", "--bare", ".", str(tmp_path / "weir.git"))
    git(repository, "bundle", "create", "-q", str(tmp_path / "weir.bundle"), "HEAD")
    for name, reason in (("weir.git", "bare_repository"), ("weir.bundle", "bundle")):
        (found,) = read(str(tmp_path / name))
        assert isinstance(found, Refused) and found.reason == reason and f"git clone {name}" in found.error


@pytest.mark.parametrize(("address", "name"), [
    ("https://github.com/Owner/Name.git", "pkg:github/owner/name"), ("git@github.com:owner/name.git", "pkg:github/owner/name"),
    ("https://token@gitlab.com/a/b/c", "pkg:generic/gitlab.com/a/b/c"),
    ("ssh://git@bitbucket.org/a/b", "pkg:bitbucket/a/b"), ("/home/me/repo", ""), ("file:///x/y", ""), ("ext::sh -c id", ""), ("", ""), ("https://[bad", ""),
])  # fmt: skip
def test_addresses(address: str, name: str) -> None:
    assert purl(address) == name
