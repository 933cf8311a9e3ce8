"""Run folders for tests: made by the mixer from a few hundred written sentences, as a recipe's parts make them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from catalog.files import DataFile, Snapshot, write_rows
from catalog.ids import doc_id, origin_hash
from catalog.schema import SHAPES
from mixer.mix import freeze
from mixer.rows import freeze_chats, freeze_pairs

HOUSE = Path(__file__).resolve().parent.parent
WHO = ["the miller", "the river", "a heron", "the wheel", "the weir", "an old stone", "the sluice", "a boy"]
DOES = ["turns", "lifts", "carries", "leaves", "finds", "follows", "breaks", "holds"]
WHAT = ["the grain", "the water", "the gate", "a sack of flour", "the lower bank", "the rope", "its shadow", "the morning"]
CONTEXT = 64
QUIET = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
SMALL = {"batch": 8, "save_every": 4, "eval_every": 4, "threads": 1, "precision": "fp32"}


def sentence(dice: np.random.Generator) -> str:
    return f"{dice.choice(WHO)} {dice.choice(DOES)} {dice.choice(WHAT)}"


def document(i: int) -> dict[str, Any]:
    dice = np.random.default_rng(i)
    text = ". ".join(sentence(dice) for _ in range(int(dice.integers(2, 14)))) + ".\n"
    domain = ("web", "books")[i % 3 == 0]
    return {
        "doc_id": doc_id("t", str(i), None, None), "uri": f"https://h{i % 40}.example/{i}", "host": f"h{i % 40}.example", "domain": domain,
        "text": text, "origin_hash": origin_hash(text), "license": "CC0-1.0",
    }  # fmt: skip


def chat(i: int) -> dict[str, Any]:
    dice = np.random.default_rng(i)
    said = [{"role": "user", "content": f"who {dice.choice(DOES)}?"}, {"role": "assistant", "content": str(dice.choice(WHO))}]
    return {"doc_id": doc_id("c", str(i), None, None), "uri": f"chat/{i}", "domain": "synthetic", "messages": said}


def pair(i: int) -> dict[str, Any]:
    """Both answers are sentences; the chosen one is about the river."""
    dice = np.random.default_rng(i)
    prompt = [{"role": "user", "content": f"say what {dice.choice(WHO)} does"}]
    chosen, rejected = f"the river {dice.choice(DOES)} {dice.choice(WHAT)}", f"a boy {dice.choice(DOES)} {dice.choice(WHAT)}"
    return {"doc_id": doc_id("p", str(i), None, None), "uri": f"pair/{i}", "prompt": prompt, "chosen": chosen, "rejected": rejected}


def dataset(root: Path, rows: list[dict[str, Any]], shape: str, name: str) -> Snapshot:
    """Write rows as a lake holds them."""
    schema, path = SHAPES[shape], f"data/{name}/run/0.parquet"
    stat = write_rows(root / path, pa.Table.from_pylist([{key: one.get(key) for key in schema.names} for one in rows], schema), schema)
    file = DataFile(f"{name}-{stat.ids}", path, stat.rows, stat.bytes, stat.ids, str(root))
    return Snapshot(name, 1, "key", None, shape, "test", (file,), (), datetime(2026, 1, 1), len(rows), len(rows), 0, (), str(root))


def text_run(root: Path, *, name: str = "base", documents: int = 600, budget: int = 10_240, hold_out: float = 0.1, **act: Any) -> Path:
    """Return the folder of a pre-training run on `budget` tokens, 64 a row."""
    folder = root / "runs" / name
    corpus = dataset(root, [document(i) for i in range(documents)], "document", "corpus")
    freeze(
        str(root), {"corpus": corpus}, tokenizer={"train": {"vocab": 400}}, context=CONTEXT, budget=budget, hold_out=hold_out, max_epochs=50,
        phases=[{"until": 1, "weights": {"web": 0.7, "books": 0.3}}], seed=7, run_folder=str(folder), name=name, threads=1,
    )  # fmt: skip
    return written(folder, "pretrain", name, {"preset": "tiny"}, act)


def rows_run(root: Path, model: Path, act: str, *, name: str, rows: int = 120, samples: int = 64, held_out_of: Path | None = None, **knobs: Any) -> Path:
    """Return the folder of an SFT or DPO run that starts from a model."""
    folder = root / "runs" / name
    freeze_rows, make, shape = (freeze_chats, chat, "chat") if act == "sft" else (freeze_pairs, pair, "pair")
    data = dataset(root, [make(i) for i in range(rows)], shape, f"rows-{name}")
    freeze_rows(
        str(root), {"rows": data}, on={"rows": 1}, tokenizer=str(model), context=CONTEXT, samples=samples, seed=7, run_folder=str(folder), name=name,
        threads=1, held_out_of=str(held_out_of) if held_out_of else None,
    )  # fmt: skip
    return written(folder, act, name, {"folder": str(model)}, knobs)


def written(folder: Path, act: str, name: str, start: Mapping[str, str], knobs: Mapping[str, Any]) -> Path:
    body = {"act": act, "name": name, "seed": 7, "start": dict(start), "knobs": {**SMALL, **knobs}, "reference": None}
    (folder / "act.json").write_text(json.dumps(body), encoding="utf-8")
    return folder


def again(folder: Path, name: str, **knobs: Any) -> Path:
    """Return a copy of a run folder that has not started, beside it (a lock names its lake from there), with some knobs changed."""
    to = folder.with_name(name)
    to.mkdir()
    for name in ("lock.json", "lock.sha256", "tokenizer", "documents", "dropped.parquet"):
        if (folder / name).exists():
            os.symlink(folder / name, to / name)
    body = json.loads((folder / "act.json").read_text(encoding="utf-8"))
    return written(to, body["act"], body["name"], body["start"], {**body["knobs"], **knobs})


def command(folder: Path, *, ranks: int = 1) -> list[str]:
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(ranks), "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"] if ranks > 1 else []
    return [sys.executable, *launch, "-m", "trainer", str(folder), "--json"]


def launched(folder: Path, *, ranks: int = 1, **environment: str) -> subprocess.CompletedProcess[str]:
    """Train a run folder in a process of its own, or in so many ranks."""
    variables = {**os.environ, **QUIET, "PYTHONPATH": str(HOUSE), **environment}
    return subprocess.run(command(folder, ranks=ranks), env=variables, capture_output=True, text=True, timeout=300)
