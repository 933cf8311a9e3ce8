"""A small lake of documents for the mixer's tests, written as a lake holds them."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from catalog.files import Annotation, DataFile, Snapshot, write_annotation, write_rows
from catalog.ids import doc_id, origin_hash
from catalog.schema import DOCUMENT, SPAN, VERDICT
from mixer import mix

WORDS = ["river", "wheel", "mill", "water", "stone", "flour", "grain", "sluice", "weir", "bank", "flood", "gate", "turn", "race", "head", "tail"]
FAMILIES: dict[str, dict[str, pa.DataType]] = {
    "verdict": {field.name: field.type for field in VERDICT},
    "pii": {"spans": pa.list_(SPAN)},
    "dup": {"cluster": pa.string(), "size": pa.int64(), "copies": pa.int64()},
    "ensemble": {"bucket": pa.int64(), "tier": pa.string(), "score": pa.float64()},
    "c4": {"cuts": pa.list_(SPAN)},
}
TIERS = ("high", "medium", "low", None)
PHASES: list[dict[str, Any]] = [
    {"until": 0.8, "weights": {"web": 0.6, "books": 0.3, "code": 0.1}},
    {"until": 1, "weights": {"web": 0.3, "books": 0.7}},
]
KNOBS: dict[str, Any] = {
    "tokenizer": {"train": {"vocab": 350}}, "context": 32, "budget": 30_000, "hold_out": 0.05, "max_epochs": 2,
    "phases": PHASES, "seed": 7, "name": "base", "threads": 1,
}  # fmt: skip
SECRET = "who@mill.org"


def text(i: int) -> str:
    """About 40 words, every one with an e-mail address in it."""
    rng = np.random.default_rng(i)
    return f"{i}: " + " ".join(rng.choice(WORDS, 20)) + f" {SECRET} " + " ".join(rng.choice(WORDS, 20)) + ".\n"


def documents() -> list[dict[str, Any]]:
    web = [("web", f"h{i % 40}.org", f"https://h{i % 40}.org/{i}") for i in range(400)]
    books = [("books", None, f"books/{book}.txt#{chapter}") for book in range(4) for chapter in range(60)]
    code = [("code", None, f"code/{i}.py") for i in range(100)]
    return [row(i, *facts) for i, facts in enumerate([*web, *books, *code])]


def row(i: int, domain: str, host: str | None, uri: str) -> dict[str, Any]:
    said = text(i)
    return {
        "doc_id": doc_id("t", uri, None, None), "uri": uri, "host": host, "domain": domain, "text": said,
        "origin_hash": origin_hash(said), "license": "cc0", "kept": i % 10 != 3, "cluster": f"pair{i // 2}" if i % 20 < 2 else None,
    }  # fmt: skip


def snapshot(root: Path, rows: list[dict[str, Any]], *, per: int = 300, annotated: bool = True, name: str = "corpus", cut: tuple[str, ...] = ()) -> Snapshot:
    """Write documents as a lake holds them: data files, and the families beside them; the policy masks addresses and cuts as told."""
    files = []
    for start in range(0, len(rows), per):
        part, data = rows[start : start + per], f"data/{name}/run/{start}.parquet"
        known = [{key: one.get(key) for key in DOCUMENT.names} for one in part]
        stat = write_rows(root / data, pa.Table.from_pylist(known, DOCUMENT), DOCUMENT)
        about = []
        for family, types in FAMILIES.items() if annotated else ():
            place = f"annotations/{name}/run/{start}.{family}.parquet"
            table = pa.Table.from_pylist([annotation(family, one) for one in part], pa.schema(list(types.items())))
            write_annotation(root / place, family, table, stat.ids, stat.rows, types)
            about.append(Annotation(family, place, f"{family}-{start}", "stage", stat.rows, ()))
        files.append(DataFile(f"{name}-{start}", data, stat.rows, stat.bytes, stat.ids, str(root), tuple(about)))
    policies = ({"name": "demo", "mask": {"pii": "tag"}, "cut": list(cut)},) if annotated else ()
    return Snapshot(name, 1, "key", None, "document", "test", tuple(files), policies, datetime(2026, 1, 1), len(rows), len(rows), 0, (), str(root))


def annotation(family: str, one: dict[str, Any]) -> dict[str, Any]:
    at = one["text"].find(SECRET)
    return {
        "verdict": {"kept": one["kept"], "domain": one["domain"], "bytes": len(one["text"].encode())},
        "pii": {"spans": [{"kind": "email", "start": at, "end": at + len(SECRET)}]},
        "dup": {"cluster": one["cluster"], "size": one.get("size", 1), "copies": one.get("copies")},
        "ensemble": {"bucket": tier(one) and len(tier(one) or ""), "tier": tier(one), "score": 0.5},
        "c4": {"cuts": [{"kind": "number", "start": 0, "end": one["text"].find(" ") + 1}]},
    }[family]


def tier(one: dict[str, Any]) -> str | None:
    """A document's tier, by its number; code has none."""
    return None if one["domain"] == "code" else TIERS[int(one["text"].partition(":")[0]) % 7 % 3]


def freeze(root: Path, snapshots: Mapping[str, Snapshot], run: str = "base", **knobs: Any) -> Any:
    return mix.freeze(str(root), snapshots, run_folder=str(root / "runs" / run), **{**KNOBS, **knobs})
