"""`--master` and `--conf` that cannot be: one line and exit code 2, before Java starts."""

import socket
from pathlib import Path

import pytest
from demo_run import Said, headrace

RECIPE = "name: x\nseed: 1\nlake: lake\ningest:\n  notes: {tables: {paths: [notes.jsonl]}, domain: web}\n"


def run(folder: Path, *arguments: str) -> Said:
    (folder / "notes.jsonl").write_text('{"text": "The miller opens the sluice."}\n', encoding="utf-8")
    (folder / "x.yaml").write_text(RECIPE, encoding="utf-8")
    return headrace("run", folder / "x.yaml", *arguments)


@pytest.mark.parametrize("item", ["spark.executor.memory", "=4g"])
def test_a_setting_is_a_key_and_a_value(item: str, tmp_path: Path) -> None:
    said = run(tmp_path, "--conf", item)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"headrace: --conf {item}: write KEY=VALUE, such as --conf spark.executor.memory=4g\n"
    assert not (tmp_path / "lake").exists()


def test_a_master_that_nobody_hears_is_said_in_a_line(tmp_path: Path) -> None:
    with socket.socket() as held:                            # a port that is ours, and on which nobody listens
        held.bind(("127.0.0.1", 0))
        master = f"spark://127.0.0.1:{held.getsockname()[1]}"
        said = run(tmp_path, "--master", master, "--conf", "spark.authenticate.secret=x=y")
    assert said.code == 2 and "Traceback" not in said.err and "WARN" not in said.err
    assert said.err.splitlines()[-1].startswith(f"headrace: {master}: no master answers there (") and "which must be reachable from here" in said.err


@pytest.mark.parametrize("master", ["spark://127.0.0.1:99999", "spark://"])
def test_a_master_that_is_no_address(master: str, tmp_path: Path) -> None:
    said = run(tmp_path, "--master", master, "--conf", "spark.authenticate.secret=x")
    assert said.code == 2 and "Traceback" not in said.err and f"{master}: no master answers there" in said.err
