"""Repeated stretches through a recipe: found, cut by a policy but for one copy, and so shown, exported, explained and tokenised."""

import json
from pathlib import Path

import numpy as np
import pytest
from demo_run import headrace
from tokenizers import Tokenizer

from catalog.lake import Lake
from mixer.shards import open_shard

pytestmark = pytest.mark.slow

RECIPE = """
name: x
seed: 1
lake: lake
ingest:
  notes: {tables: {paths: [notes.jsonl]}, domain: web}
curate:
  corpus: {from: notes, dedup: {substring: {tokens: 12}, lines: {}}, policy: longest}
mix:
  small: {from: [corpus], budget: 512, context: 64, tokenizer: {train: {vocab: 300}}, weights: {web: 1}}
"""
SHARED = "The miller opens the sluice when the river is high, and the water runs down the race"


def test_one_copy_is_shown_exported_and_tokenised(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    longest = "drop: {ninth: \"uri = 'https://h.org/9'\"}\ncut: [dup.spans, dup.lines]\nkeep: [length(text) DESC]\n"
    (tmp_path / "policies/longest.yaml").write_text(longest, encoding="utf-8")
    own = ["".join(chr(97 + (i * k) % 26) for k in range(1, 40 + i)) for i in range(10)]
    texts = [f"Home | Log in\n{word} {SHARED if i % 3 == 0 else 'rests'} {i}" for i, word in enumerate(own)]
    notes = [json.dumps({"text": text, "uri": f"https://h.org/{i}"}) for i, text in enumerate(texts)]
    (tmp_path / "notes.jsonl").write_text("\n".join(notes) + "\n", encoding="utf-8")
    (tmp_path / "x.yaml").write_text(RECIPE, encoding="utf-8")
    said = headrace("run", "x.yaml", cwd=tmp_path)
    assert said.code == 0, said.err
    shown = headrace("show", "corpus", "-n", "20", cwd=tmp_path)
    assert shown.out.count(SHARED) == 1 and f"{own[6]} {SHARED} 6" in shown.out and "Home" not in shown.out, "6 is the longest that is kept"
    dropped = headrace("show", "corpus", "--dropped", "any", cwd=tmp_path)
    assert dropped.out.count(SHARED) == 1 and "Home" in dropped.out, "of what is dropped nothing is cut"
    assert headrace("show", "corpus", "--out", "o.jsonl", cwd=tmp_path).code == 0
    exported = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(row["text"] for row in exported) == sorted(
        f"{own[i]} {SHARED if i == 6 else '' if i % 3 == 0 else 'rests'} {i}" for i in range(9)
    ) and all("verdict" not in row for row in exported)  # fmt: skip
    why = headrace("why", "https://h.org/3", cwd=tmp_path)
    assert f"    cuts {len(SHARED) + len('Home | Log in') + 1} characters that stand elsewhere too: line 0-14, substring " in why.out, why.out
    with Lake.open(tmp_path / "lake") as lake:
        run = next((tmp_path / "lake").rglob("lock.json"))
        shard = open_shard(lake.root, json.loads(run.read_text())["sources"][0]["shards"][0])
    words = Tokenizer.from_file(str(next(run.parent.glob("tokenizer/tokenizer.json")))).decode(np.asarray(shard.tokens).tolist())
    assert words.count(SHARED) == 1 and "Home" not in words and len(shard.documents()) == 9
