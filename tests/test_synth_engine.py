"""The real engine on the real model: answers, seeds, refusals, scores, the ledger as it grows, and a kill half-way."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from synth import ledger
from synth.models import WHEELS, gguf_of
from synth.scores import DIGITS
from tests.synth_making import MODEL, documents

pytestmark = [pytest.mark.vllm, pytest.mark.slow]
HOME = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("synth") / "lake"


@pytest.fixture(scope="session")
def seen(lake: Path) -> dict[str, Any]:
    """What one process saw that ran everything."""
    gguf_of(WHEELS[MODEL])
    answer = lake.parent / "seen.json"
    done = subprocess.run([sys.executable, str(HOME / "tests/synth_making.py"), str(lake), str(answer)], cwd=HOME, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def test_the_model_is_saved_once_and_whole(seen: dict[str, Any], lake: Path) -> None:
    folder = Path(seen["model"]["folder"])
    assert folder.parent == lake.resolve() / "models" and folder.name == f"{MODEL}-{seen['model']['digest'][:12]}"
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "headrace.json"} <= {p.name for p in folder.iterdir()}
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    assert seen["model"]["license"] == "Apache-2.0" and not list((lake / "models").glob(".*"))


def test_greedy_answers_and_scores_are_those_of_transformers(seen: dict[str, Any]) -> None:
    replies, known = seen["engine"]["replies"], seen["reference"]
    assert replies["0"]["finish"] == "length" and replies["0"]["tokens"] == 8
    assert replies["2"]["finish"] == "scored" and replies["2"]["tokens"] == len(seen["engine"]["more"])
    assert replies["2"]["logprob"] == pytest.approx(known["logprob"], abs=0.05 * replies["2"]["tokens"])     # bf16 against fp32
    from transformers import AutoTokenizer

    said = AutoTokenizer.from_pretrained(seen["model"]["folder"]).decode(known["greedy"])
    assert replies["0"]["text"].split()[:3] == said.split()[:3]      # bf16 may take another way after that


def test_a_prompt_that_is_too_long_is_refused_and_the_rest_goes_on(seen: dict[str, Any]) -> None:
    replies = seen["engine"]["replies"]
    assert [replies[str(i)]["finish"] for i in range(4)] == ["length", "refused", "scored", "refused"]
    assert "5000" in replies["1"]["refused"] and replies["1"]["text"] == ""


def test_many_calls_flow_and_an_early_end_leaves_nothing(seen: dict[str, Any]) -> None:
    assert seen["engine"]["all_once"] and not seen["engine"]["left"]
    assert 0 < seen["engine"]["early"] < seen["engine"]["in_flight"]


def test_what_the_ledger_knows_is_not_asked_again(seen: dict[str, Any]) -> None:
    found = seen["ledger"]
    assert found["first"]["asked"] == 1 and found["first"]["finish"] == "length"
    assert found["again"]["asked"] == 0 and found["again"]["found"] and found["again"]["text"] == found["first"]["text"]
    assert found["twins_asked"] == 1 and found["twins"][0] == found["twins"][1]


def test_only_what_changed_is_asked_again(seen: dict[str, Any]) -> None:
    found = seen["ledger"]
    assert [found[name]["asked"] for name in ("seed", "cooler", "raised")] == [1, 1, 1]
    assert found["seed"]["text"] != found["first"]["text"]
    assert found["ended"]["finish"] == "stop" and found["longer"]["asked"] == 0      # it had ended by itself: a longer limit changes nothing


def test_a_document_cannot_speak_as_another_role(seen: dict[str, Any]) -> None:
    assert seen["ledger"]["hostile"] == 2      # the template's own: after the system's and the user's turn


def test_each_line_is_on_the_disk_long_before_the_end(seen: dict[str, Any]) -> None:
    stream = seen["stream"]
    assert stream["behind"] == 0 and stream["first"] < stream["last"] / 2
    assert sorted(stream["order"]) == stream["ordered"] == list(range(40)) and stream["order"] != stream["ordered"]
    assert stream["done"] == 40 and stream["told"] > 40 and stream["counts"] == {**stream["counts"], "asked": 40, "found": 40, "refused": 0}


def test_rows_say_where_they_come_from(seen: dict[str, Any], lake: Path) -> None:
    qa = seen["parts"]["qa"]
    rows = pl.read_parquet(lake / qa["file"]["path"])
    verdicts = pl.read_parquet(lake / qa["file"]["annotations"][0]["path"])["verdict"].struct.unnest()
    assert rows.height == qa["rows"] and qa["kept"] == verdicts["kept"].sum() >= 1 and rows["doc_id"].n_unique() == rows.height
    assert dict(verdicts.filter(~pl.col("kept"))["reason"].value_counts().iter_rows()) == qa["reasons"]
    texts = dict(documents().select("doc_id", "text").iter_rows())
    for row in rows.iter_rows(named=True):
        start, end = map(int, row["uri"].rpartition("=")[2].split(","))
        passage = texts[row["gen"]["parents"][0]][start:end]
        assert row["messages"][0]["content"].startswith(f"{passage}\n\n") and [m["role"] for m in row["messages"]] == ["user", "assistant"]
        assert row["gen"]["depth"] == 1 and row["gen"]["model"] == seen["model"]["digest"] and row["gen"]["writer"] == "questions.grounded"
        assert row["license"] == row["gen"]["license"] == "CC-BY-4.0" and row["domain"] == "synthetic"


def test_pairs_prefer_the_likelier_answer(seen: dict[str, Any], lake: Path) -> None:
    prefs = seen["parts"]["prefs"]
    rows = pl.read_parquet(lake / prefs["file"]["path"])
    kept = rows.filter(pl.read_parquet(lake / prefs["file"]["annotations"][0]["path"])["verdict"].struct.field("kept"))
    assert prefs["rows"] == seen["parts"]["qa"]["kept"] and kept.height == prefs["kept"] >= 1
    for row in kept.iter_rows(named=True):
        assert row["scores"]["rejected"] < row["scores"]["chosen"] < 0 and row["chosen"] != row["rejected"]
        assert row["gen"]["depth"] == 2 and [m["role"] for m in row["prompt"]] == ["user"]


def test_the_same_part_again_asks_for_nothing_and_writes_the_same(seen: dict[str, Any]) -> None:
    first, again = seen["parts"]["qa"], seen["parts"]["again"]
    assert first["asked"] > 0 and again["asked"] == 0 and again["found"] == first["asked"] + first["found"]
    assert again["file"] == {**first["file"], "bytes": again["file"]["bytes"]}


def test_too_few_rows_fail_the_part_and_say_why(seen: dict[str, Any]) -> None:
    few = seen["parts"]["few"]
    assert few["code"] == 1 and few["files"] == []
    assert few["line"].startswith("synth.qa: kept ") and "at_least is 1000 (" in few["line"] and "lower at_least" in few["line"]


def test_the_ledger_holds_every_completion(seen: dict[str, Any], lake: Path) -> None:
    whole = ledger.read(lake)
    assert not list((lake / "ledger").glob("*.jsonl")) and whole.schema.names() == ledger.COMPLETION.names
    asked = seen["stream"]["counts"]["asked"] + seen["parts"]["qa"]["asked"] + seen["parts"]["prefs"]["asked"]
    assert whole.height >= asked and whole["model"].unique().to_list() == [seen["model"]["digest"]]
    scored = whole.filter(pl.col("purpose") == "pairs.likelihood score")
    assert scored.height and scored["logprob"].is_not_null().all() and (whole["finished_at"] >= whole["asked_at"]).all()


def job(lake: Path, folder: Path) -> list[str]:
    documents().write_parquet(folder / "documents.parquet")
    parts = [
        {"part": "synth.kill", "dataset": "kill", "run": "r1", "write": "synth.questions:grounded", "knobs": {"limit": 30, "passage": 160, "temperature": 0.8},
         "documents": [str(folder / "documents.parquet")], "at_least": 1},
        {"part": "synth.pairs", "dataset": "pairs", "run": "r1", "write": "synth.pairs:likelihood", "documents": "synth.kill", "at_least": 1},
    ]  # fmt: skip
    (folder / "job.json").write_text(json.dumps({"lake": str(lake), "model": MODEL, "seed": 11, "parts": parts}))
    return [sys.executable, "-m", "synth", str(folder / "job.json")]


def test_a_killed_run_asks_again_only_for_what_was_in_flight(seen: dict[str, Any], lake: Path, tmp_path: Path) -> None:
    command, known = job(lake, tmp_path), ledger.read(lake).height
    with subprocess.Popen(command, cwd=HOME, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        while child.poll() is None and lines(lake) < 4:
            time.sleep(0.02)
        assert child.poll() is None, "it ended before it could be killed"
        os.kill(child.pid, signal.SIGKILL)
    finished = ledger.read(lake).height - known
    assert finished >= 4 and not (lake / "data/kill/r1/rows.parquet").exists()
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    qa, pairs = [json.loads(line) for line in done.stdout.splitlines()]
    assert qa["found"] == finished and pairs["found"] == 0
    assert qa["asked"] + pairs["asked"] == ledger.read(lake).height - known - finished


def lines(lake: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (lake / "ledger").glob("*.jsonl"))


@pytest.mark.parametrize(("text", "says"), [
    ("{", "no job that can be read"), ('{"lake": "l", "model": "m"}', "lacks parts"), ('{"lake": "l", "model": "m", "parts": []}', "no model 'm'"),
])
def test_a_wrong_job_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "job.json").write_text(text)
    done = subprocess.run([sys.executable, "-m", "synth", str(tmp_path / "job.json")], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and says in done.stderr


# The judge

def test_weights_of_digits_are_those_of_transformers(seen: dict[str, Any]) -> None:
    mixed, known = seen["judged"]["mixed"], seen["reference"]["digits"]
    found = json.loads(mixed[0]["text"])
    assert list(found) == list(DIGITS) and [mixed[i]["finish"] for i in range(4)] == ["weighed", mixed[1]["finish"], "scored", "refused"]
    assert list(found.values()) == pytest.approx(known, abs=0.25)                  # bf16 against fp32
    assert mixed[0]["logprob"] == pytest.approx(math.log(sum(map(math.exp, found.values()))))
    assert seen["judged"]["begun"].endswith("assistant\nScore: ")
    assert mixed[1]["text"] and mixed[2]["logprob"] < 0


def test_a_judgement_is_the_documents_text_with_a_score(seen: dict[str, Any]) -> None:
    told = seen["judged"]["likelihood"]
    parents = {row["doc_id"]: row for row in documents().iter_rows(named=True)}
    assert told["shape"] == "judgement" and told["kept"] == len(told["rows"]) == 10 and told["reasons"] == [None] * 10
    for row in told["rows"]:
        parent = parents[row["gen"]["parents"][0]]
        assert 0 <= row["score"] <= 5 and row["answer"] is None and row["text"] == parent["text"]
        assert (row["domain"], row["title"], row["gen"]["depth"], row["gen"]["writer"]) == (parent["domain"], parent["title"], 0, "scores.educational")
        assert row["license"] == "CC-BY-4.0" and row["doc_id"] != parent["doc_id"]
    assert len({row["doc_id"] for row in told["rows"]}) == 10 and len({row["score"] for row in told["rows"]}) > 1


def test_both_ways_read_the_same_answer_and_nothing_is_asked_twice(seen: dict[str, Any]) -> None:
    judged = seen["judged"]
    assert judged["likelihood"]["asked"] == 10 and judged["prompt"]["asked"] == judged["again"]["asked"] == 0
    assert [row["score"] for row in judged["again"]["rows"]] == [row["score"] for row in judged["likelihood"]["rows"]]
    assert all(row["score"] in range(6) for row in judged["prompt"]["rows"])
    parents = [row["gen"]["parents"] for row in judged["likelihood"]["rows"]]
    assert [row["gen"]["parents"] for row in judged["few"]["rows"]] == parents[:4]
    assert all(0 < len(row["text"]) < 80 for row in judged["few"]["rows"])


def test_what_has_no_score_is_dropped_with_the_reason(seen: dict[str, Any]) -> None:
    judged = seen["judged"]
    assert judged["none"]["reasons"] == ["no_digit"] * 2 and [row["score"] for row in judged["none"]["rows"]] == [None] * 2
    assert len(judged["explained"]["rows"]) == 3 and all(row["answer"] for row in judged["explained"]["rows"])
    for row, reason in zip(judged["explained"]["rows"], judged["explained"]["reasons"], strict=True):
        assert (row["score"] is None) == (reason in ("answer_cut", "no_score", "no_such_score", "two_scores"))
