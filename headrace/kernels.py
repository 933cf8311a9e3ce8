"""Compile what numba compiles, once, so that nobody's first run waits for it: a small recipe over made-up text, by the true path.

    python -m headrace.kernels

numba keeps what it compiles beside each source file and looks only at that file when it asks whether it is still right. A kernel may hold
another file's inside, so when any of them has changed all are compiled anew.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from catalog.errors import SetupError
from catalog.files import write_json
from catalog.stage import HOUSE, ROOMS

STAMP = HOUSE / "catalog" / "__pycache__" / "kernels.json"
WORDS = "the water of a mill stream turns its wheel and then goes on to that river, as it was before; be sure to have the gate shut with care"
RECIPE = """
name: kernels
seed: 1
lake: lake
ingest:
  texts: {tables: {paths: [texts.jsonl]}, domain: books}
  pages: {warc: {paths: [pages.warc]}, domain: web}
  exam:  {tables: {paths: [texts.jsonl]}, publish_as: bench.exam}
curate:
  corpus:
    from: [texts, pages]
    stages:
      [language.identify, gopher.signals, c4.signals, fineweb.signals, dclm.signals, refinedweb.signals, nemo.signals, juicer.signals,
       statistics.signals, madlad.signals, stop_words.signals, code.signals, print.signals, screen.signals, urls.listed, pii.spans,
       {contamination.spans: {against: [bench.exam]}}]
    dedup: {exact: {}, minhash: {preset: fineweb, verify: 0.8}, bloom: {}, substring: {tokens: 8}, lines: {}, paragraphs: {}}
    policy: all
mix:
  base: {from: corpus, tokenizer: {train: {vocab: 300}}, context: 32, budget: 2k, hold_out: 20%, max_epochs: 9, weights: {books: .9, web: .1}}
"""


def main() -> int:
    """Compile if any source has changed since the last time."""
    state = sources()
    if STAMP.is_file() and state in STAMP.read_text(encoding="utf-8"):
        return 0
    for room in ROOMS:
        for old in (HOUSE / room).rglob("__pycache__/*.nb[ic]"):
            old.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="headrace-kernels-") as folder:
        write(Path(folder))
        done = subprocess.run([sys.executable, "-m", "headrace", "run", f"{folder}/kernels.yaml"], cwd=HOUSE, capture_output=True, text=True)
    if done.returncode:
        raise SetupError(f"kernels could not be compiled: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}")
    STAMP.parent.mkdir(exist_ok=True)
    write_json(STAMP, {"sources": state})
    return 0


def sources() -> str:
    """Return a hash of every source file that holds a kernel."""
    found = hashlib.blake2b(digest_size=16)
    for path in sorted(path for room in ROOMS for path in (HOUSE / room).rglob("*.py")):
        content = path.read_bytes()
        if b"njit" in content:
            found.update(path.relative_to(HOUSE).as_posix().encode() + content)
    return found.hexdigest()


def write(folder: Path) -> None:
    """Write the recipe and what it reads: texts that differ, one of them twice and one nearly so, and a page."""
    words = WORDS.split()
    wallet = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    drawn = [" ".join(words[(number * 7 + i * i) % len(words)] for i in range(120)) for number in range(12)]
    texts = [f"{text}.\nMail miller{number}@mill.org or {wallet}" for number, text in enumerate(drawn)]
    rows = [*texts, texts[0], texts[0].replace("wheel", "stone", 1)]
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows), encoding="utf-8")
    body = "<html><body><article>" + "".join(f"<p>{text}</p>" for text in texts[:4]) + "</article></body></html>"
    http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    head = "WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: http://mill.example/\r\nWARC-Date: 2026-01-01T00:00:00Z\r\nContent-Type: application/http"
    (folder / "pages.warc").write_text(f"{head}\r\nContent-Length: {len(http)}\r\n\r\n{http}\r\n\r\n", encoding="utf-8", newline="")
    (folder / "policies").mkdir()
    (folder / "policies" / "all.yaml").write_text("drop:\n  empty: \"gopher.n_words < 1\"\n", encoding="utf-8")
    (folder / "kernels.yaml").write_text(RECIPE, encoding="utf-8")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
